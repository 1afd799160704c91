"""How models look on the wire."""

from __future__ import annotations

from rest_framework import serializers

from apps.llm.catalog import Model


class ModelSerializer(serializers.Serializer[Model]):
    """A model that can be asked for."""

    id = serializers.CharField()
    name = serializers.CharField()


class ListedModelSerializer(ModelSerializer):
    """A model in the list."""

    active = serializers.BooleanField()


class ModelsSerializer(serializers.Serializer[dict[str, list[Model]]]):
    """All of them; empty when the model server cannot be reached."""

    models = ListedModelSerializer(many=True)


class ActiveModelSerializer(serializers.Serializer[dict[str, Model | None]]):
    """The one that answers when none is named; null when there is none, or the model server cannot be reached."""

    model = ModelSerializer(allow_null=True)
