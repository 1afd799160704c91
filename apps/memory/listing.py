"""What a person's memory holds, a part at a time: memories, entities, facts.

A part goes on from a place in the order, not from a count: nothing is missed or shown twice while things come and go.
Everything comes in through `visible_to`, so what is somebody else's is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from django.db.models import Q

from apps.accounts.models import User
from apps.memory import recall
from apps.memory.models import Entity, Recollection, RecollectionQuerySet, Relation
from apps.memory.names import fold_name
from apps.memory.origins import Origin, origins

EXCERPT_LENGTH = 600

Row = TypeVar("Row")
Place = TypeVar("Place")


@dataclass(frozen=True)
class Part(Generic[Row, Place]):
    """Some rows; `total` of all there are, and the place that the next part goes on from."""

    rows: Sequence[Row]
    total: int
    next: Place | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """A recollection, the part of it that a page shows, and where it comes from: None when that is just gone."""

    recollection: Recollection
    excerpt: str
    origin: Origin | None
    # How well it fits a search, from 0 to 1.
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A fact, and where it was told: None when that is just gone."""

    relation: Relation
    origin: Origin | None


class FactPlace(NamedTuple):
    """Where a fact stands among all, the last told first; written as text it is what a page goes on from."""

    recollection_id: int
    pk: int

    def __str__(self) -> str:
        return f"{self.recollection_id}-{self.pk}"

    @classmethod
    def of(cls, relation: Relation) -> FactPlace:
        """Where this one stands."""
        return cls(relation.recollection_id, relation.pk)

    def is_followed_by(self) -> Q:
        """What comes after it."""
        return Q(recollection__lt=self.recollection_id) | Q(recollection=self.recollection_id, pk__lt=self.pk)


# --- Memories


def newest(
    user: User, *, limit: int, before: int | None = None, conversation_id: int | None = None
) -> Part[Remembered, int]:
    """What was remembered last, of all or of one conversation; `before` goes on below an id."""
    mine = Recollection.objects.visible_to(user)
    if conversation_id is not None:
        mine = from_conversation(mine, conversation_id)
    following = mine.newest_first() if before is None else mine.newest_first().filter(pk__lt=before)
    rows, is_more = _cut(following[: limit + 1], limit)
    return Part(described(rows), mine.count(), rows[-1].pk if is_more else None)


def described(rows: Sequence[Recollection]) -> list[Remembered]:
    """Each with where it comes from."""
    known = origins([row.source for row in rows])
    return [Remembered(row, row.text[:EXCERPT_LENGTH], known.get(row.source)) for row in rows]


def matching(user: User, text: str, *, limit: int) -> Part[Remembered, int]:
    """What fits a search, the best first."""
    found = recall.search(user.pk, text, limit=limit)
    rows = Recollection.objects.visible_to(user).in_bulk([memory.recollection_id for memory in found])
    known = origins([memory.source for memory in found])
    memories = [_matched(memory, rows, known) for memory in found if memory.recollection_id in rows]
    return Part(memories, len(memories))


def _matched(memory: recall.Memory, rows: Mapping[int, Recollection], known: Mapping[str, Origin]) -> Remembered:
    return Remembered(rows[memory.recollection_id], memory.excerpt, known.get(memory.source), memory.score)


def forget_conversation(user: User, conversation_id: int) -> int:
    """Forget what comes from one of the person's conversations; how much it was. Nothing comes from those of others."""
    mine = from_conversation(Recollection.objects.visible_to(user), conversation_id)
    return recall.forget_thread(_thread(conversation_id)) if mine.exists() else 0


def from_conversation(rows: RecollectionQuerySet, conversation_id: int) -> RecollectionQuerySet:
    """Those that were said in it."""
    return rows.filter(thread=_thread(conversation_id))


def _thread(conversation_id: int) -> str:
    return f"conversation:{conversation_id}"


# --- Entities and facts


def entities(user: User, *, text: str = "", kind: str = "", limit: int, after: str = "") -> Part[Entity, str]:
    """Those of a kind whose name holds a text, by name; `after` goes on behind a name's key."""
    mine = Entity.objects.visible_to(user).filter(key__contains=fold_name(text))
    if kind:
        mine = mine.filter(kind=kind)
    rows, is_more = _cut(mine.filter(key__gt=after).by_mentions().order_by("key")[: limit + 1], limit)
    return Part(rows, mine.count(), rows[-1].key if is_more else None)


def facts(
    user: User, *, text: str = "", kind: str = "", limit: int, before: FactPlace | None = None
) -> Part[Told, FactPlace]:
    """Those that hold a text, of an entity of a kind, the last told first; `before` goes on behind a place."""
    folded = fold_name(text)
    holds = Q(predicate__icontains=text) | Q(subject__key__contains=folded) | Q(object__key__contains=folded)
    mine = Relation.objects.visible_to(user).filter(holds)
    if kind:
        mine = mine.filter(Q(subject__kind=kind) | Q(object__kind=kind))
    following = mine if before is None else mine.filter(before.is_followed_by())
    ordered = following.order_by("-recollection_id", "-pk").select_related("subject", "object", "recollection")
    rows, is_more = _cut(ordered[: limit + 1], limit)
    return Part(told(rows), mine.count(), FactPlace.of(rows[-1]) if is_more else None)


def told(relations: Iterable[Relation]) -> list[Told]:
    """Each with where it was told; their recollections are selected with them."""
    rows = list(relations)
    known = origins({row.recollection.source for row in rows})
    return [Told(row, known.get(row.recollection.source)) for row in rows]


def _cut(rows: Iterable[Row], limit: int) -> tuple[list[Row], bool]:
    """The first `limit` rows, and whether there are more."""
    found = list(rows)
    return found[:limit], len(found) > limit
