"""Which recollections fit a question: candidates by words and by meaning, their neighbourhood, then the ranking.

Costs the same however much is remembered: the newest recollections that hold a word, the nearest vectors, and what was
said around the best of these are all that is ever read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from django.db import connections

from apps.core import vectors
from apps.core.fulltext import TextIndex
from apps.core.vectors import EmbedderMismatch, Match, VectorsError
from apps.memory import embedding, ranking, words
from apps.memory.models import Recollection
from apps.memory.ranking import CLOSE, REACH, Candidate, Query, Ranked, Term
from apps.memory.thesaurus import Thesaurus

if TYPE_CHECKING:
    from apps.memory.embedding import Vectors

log = logging.getLogger(__name__)

Rank = Callable[[Query, Iterable[Candidate], int], list[Ranked]]

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
BY_WORDS = 50
BY_MEANING = 32
# Plain SQL, since rows are many and wide, and questions are asked while somebody waits.
_TOTAL_SQL = """
    SELECT COUNT(*) FROM (SELECT 1 FROM memory_recollection WHERE owner_id = %s AND id >= %s LIMIT %s) AS theirs
"""
_IS_EMBEDDED_SQL = "SELECT EXISTS (SELECT 1 FROM memory_recollection WHERE owner_id = %s AND embedder > '')"
_OWNED_SQL = "SELECT {wanted} FROM memory_recollection WHERE owner_id = %s AND id IN ({ids})"
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


def warm_up() -> None:
    """Load what the first question would wait for; Chroma is opened by the outbox."""
    _thesaurus()


def find(user_id: int, question: str, limit: int, *, rank: Rank = ranking.rank) -> Found:
    """What has to do with the question in this person's memory."""
    return begin_find(user_id, question, limit, rank=rank)()


def begin_find(
    user_id: int, question: str, limit: int, *, rank: Rank = ranking.rank, without_sources: Collection[str] = ()
) -> Callable[[], Found]:
    """Begin to look for it, leaving out what came from some sources; whoever asks has time for something else before
    they take it."""
    asked = words.ask(question, Recollection.objects.voices(user_id))
    if not asked.stems:
        return Found
    awaited_meaning = _begin_meaning(user_id, asked.words)
    total = _total(user_id)
    terms, holders = _terms(user_id, asked.stems, total)

    def found() -> Found:
        meaning = awaited_meaning()
        query = Query(terms, meaning.vector, asked.voices, total, meaning.unrelated)
        seeds = {*ranking.shortlist(query, holders, BY_WORDS), *(match.id for match in meaning.nearest)}
        ranked = rank(query, _neighbourhood(user_id, seeds, without_sources), limit)
        return Found(ranked, meaning.is_whole, asked.stems)

    return found


def begin_find_close(user_id: int, text: str, limit: int) -> Callable[[], Found]:
    """Begin to look for what means about the same as the text, whatever its words, nearest first."""
    awaited_meaning = _begin_meaning(user_id, text)

    def found() -> Found:
        meaning = awaited_meaning()
        close = [
            Ranked(match.id, match.score)
            for match in meaning.nearest[:limit]
            if match.score - meaning.unrelated >= CLOSE * (1 - meaning.unrelated)
        ]
        return Found(close, meaning.is_whole, tuple(words.content_stems(text)))

    return found


def _terms(user_id: int, stems: Sequence[str], total: int) -> tuple[list[Term], dict[str, list[int]]]:
    """The question's terms, and by stem the newest recollections that hold it."""
    holders = {stem: STEMS.newest(user_id, stem, HOLDERS) for stem in stems}
    related = _thesaurus().related(stems)
    terms = [
        Term(stem, relatives, _frequency(user_id, holders[stem], total))
        for stem, relatives in zip(stems, related, strict=True)
    ]
    return terms, holders


def _frequency(user_id: int, newest: Sequence[int], total: int) -> int:
    """How many hold the word; where there are more than were read, as many as if it had always been so common."""
    if len(newest) < HOLDERS:
        return len(newest)
    # At least one, since all of them may be forgotten meanwhile.
    return round(total * len(newest) / max(1, _total(user_id, since=newest[-1])))


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A question's vector and the recollections nearest to it, as far as they could be had."""

    vector: Vectors | None = None
    unrelated: float = 0.0
    nearest: Sequence[Match] = ()
    is_whole: bool = False


def _begin_meaning(user_id: int, asked: str) -> Callable[[], _Meaning]:
    """Have Chroma look; what is returned waits for what it finds."""
    if not _rows(_IS_EMBEDDED_SQL, user_id)[0][0]:
        return lambda: _Meaning(is_whole=True)
    try:
        embedder = embedding.current()
        vector, unrelated = embedder.embed([asked])[0], embedder.unrelated
        matches = vectors.store(embedder.name, embedder.dimension).begin_search(user_id, vector, BY_MEANING)
    except Exception as fault:  # noqa: BLE001 -- an embedder is other people's code; words are left
        log.warning("memory: recalled without meaning: %s", fault)
        return _Meaning

    def meaning() -> _Meaning:
        try:
            return _Meaning(vector, unrelated, matches(partial(_owned, user_id)), is_whole=True)
        except EmbedderMismatch as mismatch:
            log.warning("memory: recalled without meaning: %s", mismatch)
            return _Meaning()
        except VectorsError as fault:
            log.warning("memory: recalled by words first: %s", fault)
            return _Meaning(vector, unrelated)

    return meaning


def _total(user_id: int, since: int = 0) -> int:
    """How many recollections the person has, from an id on, counted no farther than `COUNTED`."""
    return int(_rows(_TOTAL_SQL, user_id, since, COUNTED)[0][0])


def _owned(user_id: int, ids: Sequence[int]) -> set[int]:
    """Those that are the person's: mostly all of them, which a number tells quicker than a row for each."""
    listed = _listed(ids)
    if _rows(_OWNED_SQL.format(wanted="count(*)", ids=listed), user_id) == [(len(ids),)]:
        return set(ids)
    return {pk for (pk,) in _rows(_OWNED_SQL.format(wanted="id", ids=listed), user_id)}


def _neighbourhood(user_id: int, seeds: Collection[int], without_sources: Collection[str]) -> list[Candidate]:
    """These recollections and what was said around each, as the ranking wants them."""
    if not seeds:
        return []
    known = set(without_sources)
    rows = _rows(_NEIGHBOURHOOD_SQL.format(seeds=_listed(seeds)), user_id, user_id)
    return [Candidate(*row) for source, *row in rows if source not in known]


def _listed(ids: Iterable[int]) -> str:
    return ",".join(map(str, ids))


def _rows(sql: str, *parameters: int) -> list[tuple[Any, ...]]:
    with connections[Recollection.objects.db].cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


@cache
def _thesaurus() -> Thesaurus:
    return Thesaurus(*embedding.bundled().words())
