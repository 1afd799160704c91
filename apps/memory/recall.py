"""The face of memory: remember, recall, forget.

Values come in, not rows of the apps above: a source is text such as `message:41`, a thread such as `conversation:7`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import BigIntegerField, CharField

from apps.core.prepared import PreparedValues, Slot
from apps.memory import graph, words
from apps.memory.excerpts import excerpt
from apps.memory.finding import Found, begin_find, begin_find_close, find
from apps.memory.graph import KnownFact
from apps.memory.models import MemorySetting, Recollection, RecollectionQuerySet
from apps.memory.ranking import Ranked, rank_fitting


@dataclass(frozen=True, slots=True)
class Memory:
    """A recollection that fits a question."""

    recollection_id: int
    source: str
    speaker: str
    # The part of its text that fits best, at most EXCERPT_LENGTH characters.
    excerpt: str
    said_at: datetime
    # From 0 to 1: how well it fits.
    score: float


@dataclass(frozen=True, slots=True)
class Recalled:
    """What came to mind, the best first; and which parts of memory did not answer: `memory`, `graph`."""

    memories: Sequence[Memory] = ()
    facts: Sequence[KnownFact] = ()
    missing: Sequence[str] = ()


NOTHING = Recalled()
# What may be missing.
MEMORY, GRAPH = "memory", "graph"
FACTS = 8
# So many more are looked for, since people say the same again.
SPARE = 3
EXCERPT_LENGTH = 500


def remember(
    user_id: int, *, text: str, source: str, thread: str, said_at: datetime, speaker: str = "", answers: str = ""
) -> None:
    """Keep this for the person, once a source; called in the transaction that makes it final.

    Nothing but a row is written: vectors and entities are made of it afterwards (`outbox`). Whoever switched their
    memory off is not remembered, and what `answers` a source is not where that source is not: it was forgotten while
    the answer was being given.
    """
    if not text.strip() or not MemorySetting.is_enabled_for(user_id) or (answers and not _holds(user_id, answers)):
        return
    said = words.analyse(text, said_at.date(), speaker)
    last = _LAST_POSITION.all(thread=thread)
    Recollection.objects.bulk_create(
        [
            Recollection(
                owner_id=user_id,
                source=source,
                thread=thread,
                position=last[0][0] + 1 if last else 0,
                speaker=speaker,
                text=text,
                said_at=said_at,
                voice=said.voice,
                stems=said.stems,
                asks=said.asks,
            )
        ],
        ignore_conflicts=True,
    )


def _holds(user_id: int, source: str) -> bool:
    """Whether this is remembered; whoever is about to forget it waits for the running transaction."""
    return bool(_HELD.all(owner=user_id, source=source))


_LAST_POSITION = PreparedValues(
    lambda: (
        Recollection.objects.filter(thread=Slot("thread", CharField()))
        .order_by("-position")
        .values_list("position")[:1]
    )
)
_HELD = PreparedValues(
    lambda: (
        Recollection.objects.filter(owner=Slot("owner", BigIntegerField()), source=Slot("source", CharField()))
        .select_for_update(no_key=True)
        .values_list("pk")
    )
)


def recall(user_id: int, question: str, *, limit: int = 6, without_sources: Collection[str] = ()) -> Recalled:
    """What this person's memory holds that fits the question: recollections, and facts about whom or what it names.

    What came from `without_sources` is left out. An unrelated question recalls nothing, and so does anything asked by a
    person who switched their memory off. Raises only what the database does.
    """
    if not MemorySetting.is_enabled_for(user_id):
        return NOTHING
    awaited = begin_find(user_id, question, limit + SPARE, without_sources=without_sources)
    facts = [fact for fact in graph.facts_about(user_id, question, FACTS) if fact.source not in without_sources]
    found = awaited()
    return Recalled(_told_once(_memories(found))[:limit], facts, () if found.is_whole else (MEMORY,))


def search(user_id: int, text: str, *, limit: int = 50) -> list[Memory]:
    """What holds a word of the text or is close to it in meaning, for a person who looks through their memory; the best
    first. What was only said beside it, which `recall` would bring along, is left out."""
    return _memories(find(user_id, text, limit, rank=rank_fitting))


def begin_search_meaning(user_id: int, text: str, *, limit: int = 50) -> Callable[[], list[Memory]]:
    """What means about the same as the text, whatever its words, the nearest first; asked for now, to be taken later.

    Whoever asks has time for something else meanwhile."""
    found = begin_find_close(user_id, text, limit)
    return lambda: _memories(found())


def _memories(found: Found) -> list[Memory]:
    if not found.ranked:
        return []
    rows = Recollection.objects.filter(pk__in=[each.id for each in found.ranked])
    said = {pk: row for pk, *row in rows.values_list("pk", "source", "speaker", "text", "said_at")}
    return [_memory(each, said[each.id], found.stems) for each in found.ranked if each.id in said]


def _told_once(memories: Sequence[Memory]) -> list[Memory]:
    """Of those that say the same, the one that fits best."""
    told: dict[str, Memory] = {}
    for memory in memories:
        told.setdefault(memory.excerpt, memory)
    return list(told.values())


def _memory(ranked: Ranked, said: Sequence[Any], stems: Sequence[str]) -> Memory:
    source, speaker, text, said_at = said
    return Memory(
        recollection_id=ranked.id,
        source=source,
        speaker=speaker,
        excerpt=excerpt(text, stems, EXCERPT_LENGTH),
        said_at=said_at,
        score=ranked.score,
    )


def forget(user_id: int, *, sources: Collection[str]) -> int:
    """Forget what came from these sources, with all that was made of it; how many recollections there were."""
    return _forgotten(Recollection.objects.filter(owner_id=user_id, source__in=sources))


def forget_thread(thread: str) -> int:
    """Forget all that came from there; how many recollections there were."""
    return _forgotten(Recollection.objects.filter(thread=thread))


def forget_one(recollection: Recollection) -> None:
    """Forget this one."""
    _forgotten(Recollection.objects.filter(pk=recollection.pk))


def forget_all(user_id: int) -> int:
    """Forget everything that was ever remembered for the person; how many recollections there were."""
    return _forgotten(Recollection.objects.filter(owner_id=user_id))


def _forgotten(rows: RecollectionQuerySet) -> int:
    """Mentions, facts, entities and the vectors' deletion follow by triggers, in this transaction.

    What is being remembered as an answer to them is waited for, and forgotten with them. Their owners are held first,
    as by every writer of the graph."""
    with transaction.atomic():
        graph.hold_owners(rows.values("owner_id"))
        list(rows.order_by("pk").select_for_update().values_list("pk"))
        _, by_model = rows.delete()
    return by_model.get("memory.Recollection", 0)
