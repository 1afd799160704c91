"""Ranked full-text search: FTS5 on SQLite, tsvector on PostgreSQL. Nobody outside knows one from the other.

A `TextIndex` is declared over one column of a table. Triggers keep it, in the transaction that changes the row. Every
query is one owner's, and looks at the newest matches alone, since scoring reads every match it is given and a common
word has very many. Any text is a valid query: its words and "quoted phrases" are taken, all else is left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection, connections

from apps.core.fulltext import postgresql, snippets, sqlite
from apps.core.fulltext.definition import IndexDefinition
from apps.core.fulltext.query import MAX_TERMS, Query, Term, read_terms, words_of
from apps.core.triggers import Declaration, declare

# How many of the newest matches are ranked.
CANDIDATES = 1_000
# Of a question's words, when any of them will do, the rarest so many are asked for.
MAX_ALTERNATIVES = 12
PURGE_SECONDS = 1.0
# Longer than a step: a writer that waits looks again ever more seldom.
PAUSE_SECONDS = 0.03

__all__ = ["CANDIDATES", "Hit", "TextIndex", "purge"]


class Hit(NamedTuple):
    """A row that was found; the higher the score the better, and scores of one answer compare."""

    pk: int
    score: float


@dataclass(frozen=True)
class TextIndex(IndexDefinition):
    """One text column of a table, to be searched by owner."""

    def declare(self) -> TextIndex:
        """Have it kept from now on; see `apps.core.triggers`."""
        sqlite_part, postgresql_part = sqlite.definition(self), postgresql.definition(self)
        declare(Declaration(self.name, (self.table, *self.needs), sqlite_part, postgresql_part))
        _declared[self.name] = self
        return self

    def search(
        self, owner_id: int, text: str, limit: int, *, fewest: int | None = None, among: int = CANDIDATES
    ) -> list[Hit]:
        """The best matches among the newest `among`: rows with all words of `text`, then, where those are fewer than
        `fewest` (else `limit`), rows with any of them, whose scores are below 1."""
        terms = read_terms(text, self.language)
        every = self._ranked(owner_id, Query(terms, "all"), among)
        found = [Hit(pk, 1 + _below_one(score)) for pk, score in every[:limit]]
        if len(terms) > 1 and len(found) < (limit if fewest is None else fewest):
            known = {hit.pk for hit in found}
            either = self._ranked(owner_id, Query(self._telling(owner_id, terms), "any"), among)
            found += [Hit(pk, _below_one(score)) for pk, score in either if pk not in known]
        return found[:limit]

    def rank(self, owner_id: int, words: Iterable[str], limit: int, *, among: int = CANDIDATES) -> list[Hit]:
        """Rows with any of these words, scored by the database: BM25 on SQLite, ts_rank on PostgreSQL.
        At most 32 words are read."""
        terms = dict.fromkeys(Term(part) for word in words for part in words_of(word))
        return [Hit(*row) for row in self._ranked(owner_id, Query(list(terms)[:MAX_TERMS], "any"), among)[:limit]]

    def newest(self, owner_id: int, word: str, limit: int) -> list[int]:
        """The rows that hold this word, or the words of this phrase in a row, newest first."""
        return self._newest(owner_id, Term(" ".join(words_of(word)[:MAX_TERMS])), limit)

    def snippets(self, text: str, texts: Sequence[str]) -> list[str]:
        """About 200 characters of each of `texts` around what `text` asks for, as HTML whose only tag is `<mark>`."""
        return snippets.snippets(read_terms(text, self.language), texts, self.language)

    def _newest(self, owner_id: int, term: Term, limit: int) -> list[int]:
        return _database().newest(self, owner_id, term, limit) if term.text else []

    def _ranked(self, owner_id: int, query: Query, among: int) -> list[tuple[int, float]]:
        """Keys and scores, the best first, of equals the newest."""
        found: list[tuple[int, float]] = _database().ranked(self, owner_id, query, among) if query.terms else []
        return sorted(found, key=lambda row: (row[1], row[0]), reverse=True)

    def _telling(self, owner_id: int, terms: Sequence[Term]) -> Sequence[Term]:
        """The rarest: to score a word that is everywhere costs much and tells little."""
        counts = {term: len(self._newest(owner_id, term, CANDIDATES)) for term in terms}
        rare = [term for term in terms if counts[term] < CANDIDATES]
        return sorted(rare or terms, key=counts.__getitem__)[:MAX_ALTERNATIVES]


_declared: dict[str, TextIndex] = {}


def purge(using: str = DEFAULT_DB_ALIAS) -> bool:
    """Work for a moment towards indexes without a trace of what was deleted; whether there is more to do.

    SQLite's need it; PostgreSQL's vacuum comes by itself. Other writers get in between the steps.
    """
    ends = time.monotonic() + PURGE_SECONDS
    while connections[using].vendor == "sqlite" and any(sqlite.purge(name, using) for name in _declared):
        if time.monotonic() >= ends:
            return True
        time.sleep(PAUSE_SECONDS)
    return False


def _database() -> ModuleType:
    return sqlite if connection.vendor == "sqlite" else postgresql


def _below_one(score: float) -> float:
    return score / (1 + score)
