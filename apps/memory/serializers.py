"""Memory on the wire: what comes in, and what goes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from rest_framework import serializers

from apps.core.rest import StrictBooleanField, StrictCharField, StrictIntegerField
from apps.memory.listing import Part, Remembered, Told
from apps.memory.models import Entity
from apps.memory.names import NAME_MAX
from apps.memory.origins import Origin

QUERY_LENGTH = 1000


class MemoryJSON(TypedDict):
    """Something that is remembered; `created_at` is when it was said, `score` how well it fits a search."""

    id: int
    text: str
    source: Origin | None
    created_at: str
    embedded: bool
    score: NotRequired[float]


class MemoriesJSON(TypedDict):
    """Some of them; `next` is the `before` of those that follow."""

    memories: list[MemoryJSON]
    total: int
    next: int | None


class ForgottenJSON(TypedDict):
    """How much was forgotten."""

    forgotten: int


class SettingsJSON(TypedDict):
    """Whether the person is remembered."""

    enabled: bool


class EntityJSON(TypedDict):
    """Somebody or something that was spoken of, and in how many memories."""

    id: int
    name: str
    kind: str
    mentions: int


class RelatedEntityJSON(TypedDict):
    """An entity, and how many facts away it is."""

    id: int
    name: str
    kind: str
    hop: int


class RelationJSON(TypedDict):
    """A fact between two entities, by their ids, and the message that told it."""

    id: int
    subject: int
    predicate: str
    object: int
    source: Origin | None


class GraphJSON(TypedDict):
    """The most spoken of, and the newest facts; how many there are of each in all."""

    entities: list[EntityJSON]
    relations: list[RelationJSON]
    entities_total: int
    relations_total: int


class NeighbourhoodJSON(TypedDict):
    """An entity and what is around it."""

    entity: EntityJSON
    entities: list[RelatedEntityJSON]
    relations: list[RelationJSON]


class ListMemories(serializers.Serializer[Any]):
    """What to search for."""

    q = StrictCharField(required=False, allow_blank=True, max_length=QUERY_LENGTH)


class ChangeSettings(serializers.Serializer[Any]):
    """Remember from now on, or not."""

    enabled = StrictBooleanField(required=False)


class ChangeEntity(serializers.Serializer[Any]):
    """Another name for it, or another entity that it is the same as."""

    name = StrictCharField(required=False, max_length=NAME_MAX)
    merge_into = StrictIntegerField(required=False)


def memory_json(remembered: Remembered) -> MemoryJSON:
    """One memory, with its score where something was searched for."""
    row = remembered.recollection
    told: MemoryJSON = {
        "id": row.pk,
        "text": row.text,
        "source": remembered.origin,
        "created_at": row.said_at.isoformat(),
        "embedded": bool(row.embedder),
    }
    if remembered.score is not None:
        told["score"] = round(remembered.score, 3)
    return told


def memories_json(part: Part[Remembered, int]) -> MemoriesJSON:
    """A part of the list."""
    return {"memories": [memory_json(each) for each in part.rows], "total": part.total, "next": part.next}


def entity_json(entity: Entity, mentions: int) -> EntityJSON:
    """One entity."""
    return {"id": entity.pk, "name": entity.name, "kind": entity.kind, "mentions": mentions}


def related_json(entity_id: int, about: Mapping[str, Any]) -> RelatedEntityJSON:
    """One entity around another, as the graph describes it."""
    return {"id": entity_id, "name": about["name"], "kind": about["kind"], "hop": about["hop"]}


def relation_json(fact: Told) -> RelationJSON:
    """One fact."""
    relation = fact.relation
    return {
        "id": relation.pk,
        "subject": relation.subject_id,
        "predicate": relation.predicate,
        "object": relation.object_id,
        "source": fact.origin,
    }
