"""Memory's part of the API: what is remembered of a person, for that person to see, correct and forget."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import User
from apps.core.errors import NotFound
from apps.core.rest import query_integer
from apps.core.schema import schema_of
from apps.memory import graph, listing, recall
from apps.memory.models import Entity, MemorySetting, Recollection, Relation
from apps.memory.serializers import (
    ChangeEntity,
    ChangeSettings,
    EntityJSON,
    ForgottenJSON,
    GraphJSON,
    ListMemories,
    MemoriesJSON,
    NeighbourhoodJSON,
    SettingsJSON,
    entity_json,
    memories_json,
    related_json,
    relation_json,
)

MAX_PAGE = 200
DEFAULT_PAGE = 50
MAX_HOPS = 4
_BIGGEST = 2**63 - 1
_WHAT_TO_FORGET = "Say what to forget: either conversation_id, or all=true."


class View(GenericAPIView[Any]):
    """What the views here share: who asks, the command in the body, and the one door to rows."""

    serializer_class: type[serializers.Serializer[Any]] = serializers.Serializer
    # The browsable API asks for it when a page shows a list; no view here reads rows through it.
    queryset = Recollection.objects.none()

    @property
    def person(self) -> User:
        """Who asks."""
        user = self.request.user
        assert isinstance(user, User)
        return user

    def command(self) -> dict[str, Any]:
        """The body's fields; raises ValidationError."""
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def recollection(self, pk: int) -> Recollection:
        """One of this person's; raises `NotFound`."""
        found = Recollection.objects.visible_to(self.person).filter(pk=pk).first()
        if found is None:
            raise NotFound
        return found

    def entity(self, pk: int) -> Entity:
        """One of this person's; raises `NotFound`."""
        found = Entity.objects.visible_to(self.person).filter(pk=pk).first()
        if found is None:
            raise NotFound
        return found

    def query_number(self, name: str, *, default: int, high: int) -> int:
        """A number from 1 to `high` in the address; raises ValidationError."""
        return query_integer(self.request.query_params.get(name), name=name, default=default, low=1, high=high)


class Memories(View):
    """What is remembered."""

    @extend_schema(
        operation_id="memory_list",
        parameters=[
            ListMemories,
            OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE}"),
            OpenApiParameter("before", int, description="the `next` of the previous part"),
        ],
        responses={200: schema_of(MemoriesJSON)},
    )
    def get(self, request: Request) -> Response:
        """Newest first; with `q` what fits it, the best first and in one part."""
        search = ListMemories(data=request.query_params)
        search.is_valid(raise_exception=True)
        limit = self.query_number("limit", default=DEFAULT_PAGE, high=MAX_PAGE)
        before = self.query_number("before", default=_BIGGEST, high=_BIGGEST)
        if text := search.validated_data.get("q"):
            return Response(memories_json(listing.matching(self.person, text, limit=limit)))
        return Response(memories_json(listing.newest(self.person, limit=limit, before=before)))

    @extend_schema(
        operation_id="memory_forget",
        parameters=[OpenApiParameter("conversation_id", int), OpenApiParameter("all", bool)],
        responses={200: schema_of(ForgottenJSON)},
    )
    def delete(self, request: Request) -> Response:
        """Forget what comes from one conversation, or everything; there is no way back."""
        return Response({"forgotten": self._forget()})

    def _forget(self) -> int:
        query = self.request.query_params
        if query.get("all") == "true" and "conversation_id" not in query:
            return recall.forget_all(self.person.pk)
        if query.get("conversation_id") and "all" not in query:
            conversation_id = self.query_number("conversation_id", default=0, high=_BIGGEST)
            return listing.forget_conversation(self.person, conversation_id)
        raise serializers.ValidationError(_WHAT_TO_FORGET)


class MemoryDetail(View):
    """One memory."""

    @extend_schema(responses={200: schema_of(ForgottenJSON)})
    def delete(self, request: Request, pk: int) -> Response:
        """Forget it, with all that was made of it; there is no way back."""
        recall.forget_one(self.recollection(pk))
        return Response({"forgotten": 1})


class Settings(View):
    """Whether the person is remembered at all."""

    serializer_class = ChangeSettings

    @extend_schema(responses={200: schema_of(SettingsJSON)})
    def get(self, request: Request) -> Response:
        """How it is set."""
        return Response({"enabled": MemorySetting.is_enabled_for(self.person.pk)})

    @extend_schema(responses={200: schema_of(SettingsJSON)})
    def patch(self, request: Request) -> Response:
        """Remember and recall from now on, or neither; what is remembered already stays."""
        fields = self.command()
        if fields:
            MemorySetting.switch(self.person.pk, **fields)
        return self.get(request)


class Graph(View):
    """Who and what was spoken of, and the facts between them."""

    @extend_schema(responses={200: schema_of(GraphJSON)})
    def get(self, request: Request) -> Response:
        """The entities most spoken of, and the newest facts."""
        whole = graph.whole(self.person)
        told: GraphJSON = {
            "entities": [
                entity_json(entity, entity.mention_count)  # type: ignore[attr-defined]  # annotated by `by_mentions`
                for entity in whole.entities
            ],
            "relations": [relation_json(fact) for fact in listing.told(whole.relations)],
            "entities_total": whole.entities_total,
            "relations_total": whole.relations_total,
        }
        return Response(told)


class EntityDetail(View):
    """Somebody or something that was spoken of."""

    serializer_class = ChangeEntity

    @extend_schema(
        parameters=[OpenApiParameter("hops", int, description=f"1 to {MAX_HOPS}")],
        responses={200: schema_of(NeighbourhoodJSON)},
    )
    def get(self, request: Request, pk: int) -> Response:
        """With what is at most `hops` facts away, and those facts."""
        entity = self.entity(pk)
        hops = self.query_number("hops", default=1, high=MAX_HOPS)
        around = graph.related(self.person.pk, entity.pk, hops)
        mine = Relation.objects.visible_to(self.person).newest_first().select_related("recollection")
        facts = listing.told(mine.filter(pk__in=[key for _, _, key in around.edges(keys=True)]))
        told: NeighbourhoodJSON = {
            "entity": _entity_json(entity),
            "entities": [related_json(node, about) for node, about in around.nodes(data=True) if node != entity.pk],
            "relations": [relation_json(fact) for fact in facts],
        }
        return Response(told)

    @extend_schema(responses={200: schema_of(EntityJSON)})
    def patch(self, request: Request, pk: int) -> Response:
        """Call it something else; merge it into another one, which stays and is the answer; or both."""
        fields = self.command()
        entity = self.entity(pk)
        with transaction.atomic():
            if "merge_into" in fields:
                entity, merged = self.entity(fields["merge_into"]), entity
                graph.merge(merged, entity)
            if "name" in fields:
                graph.rename(entity, fields["name"])
        return Response(_entity_json(entity))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete it, with what is known of it; what is said later may bring it back."""
        graph.delete(self.entity(pk))
        return Response(status=204)


def _entity_json(entity: Entity) -> EntityJSON:
    return entity_json(entity, entity.mentions.count())
