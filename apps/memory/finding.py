"""Which recollections fit a question: candidates by words and by meaning, their neighbourhood, then the ranking.

Costs the same however much is remembered: the newest recollections that hold a word, the nearest vectors, and what was
said around the best of these are all that is ever read.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from django.db import connections

from apps.core import vectors
from apps.core.fulltext import TextIndex
from apps.core.vectors import EmbedderMismatch, VectorsError
from apps.memory import embedding, ranking, words
from apps.memory.models import Recollection
from apps.memory.ranking import REACH, Candidate, Query, Ranked, Term
from apps.memory.thesaurus import Thesaurus

if TYPE_CHECKING:
    from apps.memory.embedding import Vectors

log = logging.getLogger(__name__)

STEMS = TextIndex(
    name="recollection_stems",
    table="memory_recollection",
    column="stems",
    owner="{row}.owner_id",
    language="plain",
)
# The newest so many that hold a word are looked at.
HOLDERS = 1000
COUNTED = 20_000
BY_WORDS = 60
BY_MEANING = 50
# Plain SQL, since rows are many and wide, and questions are asked while somebody waits.
_NEIGHBOURHOOD_SQL = f"""
    SELECT source, {", ".join(Candidate._fields)} FROM memory_recollection
    WHERE id IN (
        SELECT beside.id FROM memory_recollection seed
        JOIN memory_recollection beside ON beside.thread = seed.thread
            AND beside.position BETWEEN seed.position - {REACH} AND seed.position + {REACH}
        WHERE seed.id IN ({{seeds}}) AND seed.owner_id = %s AND beside.owner_id = %s
    )
"""  # noqa: S608 -- names and numbers of ours, and ids


@dataclass(frozen=True, slots=True)
class Found:
    """The ranking, the best first; whether meaning had its say in it; and the stems that were looked for."""

    ranked: Sequence[Ranked] = ()
    is_whole: bool = True
    stems: Sequence[str] = ()


def find(user_id: int, question: str, limit: int, *, without_sources: Collection[str] = ()) -> Found:
    """What has to do with the question in this person's memory, leaving out what came from some sources."""
    total = Recollection.objects.count_of(user_id, at_most=COUNTED)
    if not total:
        return Found()
    asked = words.ask(question, Recollection.objects.voices(user_id))
    if not asked.stems:
        return Found()
    terms, holders = _terms(user_id, asked.stems)
    meaning = _meaning(user_id, asked.words)
    query = Query(terms, meaning.vector, asked.voices, total, meaning.unrelated)
    seeds = {*ranking.shortlist(query, holders, BY_WORDS), *meaning.nearest}
    ranked = ranking.rank(query, _neighbourhood(user_id, seeds, without_sources), limit)
    return Found(ranked, meaning.is_whole, asked.stems)


def _terms(user_id: int, stems: Sequence[str]) -> tuple[list[Term], dict[str, list[int]]]:
    """The question's terms, and by stem the newest recollections that hold it."""
    holders = {stem: STEMS.newest(user_id, stem, HOLDERS) for stem in stems}
    related = _thesaurus().related(stems)
    terms = [
        Term(stem, relatives, _frequency(user_id, stem, holders[stem]))
        for stem, relatives in zip(stems, related, strict=True)
    ]
    return terms, holders


def _frequency(user_id: int, stem: str, newest: Sequence[int]) -> int:
    return len(newest) if len(newest) < HOLDERS else STEMS.count(user_id, stem, at_most=COUNTED)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A question's vector and the recollections nearest to it, as far as they could be had."""

    vector: Vectors | None = None
    unrelated: float = 0.0
    nearest: Sequence[int] = ()
    is_whole: bool = False


def _meaning(user_id: int, asked: str) -> _Meaning:
    try:
        embedder = embedding.current()
        vector, unrelated = embedder.embed([asked])[0], embedder.unrelated
    except Exception as fault:  # noqa: BLE001 -- an embedder is other people's code; words are left
        log.warning("memory: recalled without meaning: %s", fault)
        return _Meaning()
    if not Recollection.objects.filter(owner_id=user_id).exclude(embedder="").exists():
        return _Meaning(vector, unrelated, is_whole=True)
    try:
        store = vectors.store(embedder.name, embedder.dimension)
        matches = store.search(user_id, vector, BY_MEANING, keep=partial(_owned, user_id))
    except EmbedderMismatch as mismatch:
        log.warning("memory: recalled without meaning: %s", mismatch)
        return _Meaning()
    except VectorsError as fault:
        log.warning("memory: recalled by words first: %s", fault)
        return _Meaning(vector, unrelated)
    return _Meaning(vector, unrelated, [match.id for match in matches], is_whole=True)


def _owned(user_id: int, ids: Sequence[int]) -> set[int]:
    return set(Recollection.objects.filter(owner_id=user_id, pk__in=ids).values_list("pk", flat=True))


def _neighbourhood(user_id: int, seeds: Collection[int], without_sources: Collection[str]) -> list[Candidate]:
    """These recollections and what was said around each, as the ranking wants them."""
    if not seeds:
        return []
    known = set(without_sources)
    with connections[Recollection.objects.db].cursor() as cursor:
        cursor.execute(_NEIGHBOURHOOD_SQL.format(seeds=",".join(map(str, seeds))), [user_id, user_id])
        return [Candidate(*row) for source, *row in cursor.fetchall() if source not in known]


@cache
def _thesaurus() -> Thesaurus:
    return Thesaurus(*embedding.bundled().words())
