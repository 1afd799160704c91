"""The models, for whoever is signed in."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.llm import catalog
from apps.llm.serializers import ActiveModelSerializer, ModelsSerializer


class Models(APIView):
    """Every model of the model server."""

    @extend_schema(operation_id="models_list", responses=ModelsSerializer)
    def get(self, request: Request) -> Response:
        """List the models."""
        return Response(ModelsSerializer({"models": catalog.list_models()}).data)


class ActiveModel(APIView):
    """The model that answers when none is named."""

    @extend_schema(operation_id="models_active", responses=ActiveModelSerializer)
    def get(self, request: Request) -> Response:
        """Say which model is active."""
        return Response(ActiveModelSerializer({"model": catalog.active_model()}).data)
