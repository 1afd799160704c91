"""What a result shows of a text: the stretch with most hits, escaped, each hit in `<mark>`.

The words are marked by a passing FTS5 table in memory, whatever the product's database is, so that what is marked is
what the tokenizer finds.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from django.utils.html import escape

from apps.core.fulltext.definition import Language
from apps.core.fulltext.query import TOKENIZERS, Term
from apps.core.fulltext.sqlite import match

CHARACTERS = 200
# Of those, how many may stand before the first hit.
LEAD = 40
# What of a text is looked at.
MAX_CHARACTERS = 100_000
# They stand around a hit until the text is escaped; texts keep none of their own.
_OPEN, _CLOSE = "\x02", "\x03"
_OWN_MARKS = str.maketrans("", "", "\x00" + _OPEN + _CLOSE)


class Span(NamedTuple):
    """A stretch of a text."""

    begin: int
    end: int


def snippets(terms: Sequence[Term], texts: Sequence[str], language: Language) -> list[str]:
    """A snippet of each text; its beginning where it has no hit."""
    plain = [" ".join(text[:MAX_CHARACTERS].translate(_OWN_MARKS).split()) for text in texts]
    marked = _marked(terms, plain, language) if terms and plain else {}
    return [_snippet(text, _hits(marked.get(place, ""))) for place, text in enumerate(plain)]


def _marked(terms: Sequence[Term], texts: Sequence[str], language: Language) -> dict[int, str]:
    """The texts that have hits, those marked, by place."""
    with closing(sqlite3.connect(":memory:")) as scratch:
        scratch.execute(f"CREATE VIRTUAL TABLE it USING fts5(text, tokenize='{TOKENIZERS[language]}')")
        scratch.executemany("INSERT INTO it (rowid, text) VALUES (?, ?)", enumerate(texts))
        found = scratch.execute(
            "SELECT rowid, highlight(it, 0, ?, ?) FROM it WHERE it MATCH ?", [_OPEN, _CLOSE, match(terms)]
        )
        return dict(found.fetchall())


def _hits(marked: str) -> list[Span]:
    """Where the hits stand in the text without its marks: each hit before one has two."""
    found = re.finditer(f"{_OPEN}[^{_CLOSE}]*{_CLOSE}", marked)
    return [Span(hit.start() - 2 * before, hit.end() - 2 * before - 2) for before, hit in enumerate(found)]


def _snippet(text: str, hits: Sequence[Span]) -> str:
    window = _window(text, hits)
    parts, at = [], window.begin
    for hit in hits:
        if window.begin <= hit.begin and hit.end <= window.end:
            parts += [escape(text[at : hit.begin]), f"<mark>{escape(text[hit.begin : hit.end])}</mark>"]
            at = hit.end
    parts.append(escape(text[at : window.end]))
    return ("…" if window.begin else "") + "".join(parts) + ("…" if window.end < len(text) else "")


def _window(text: str, hits: Sequence[Span]) -> Span:
    """The stretch to be shown, from word to word where there are any."""
    best = _densest(hits)
    begin = max(0, min(best.begin - LEAD, len(text) - CHARACTERS))
    if begin and (space := text.find(" ", begin, best.begin)) >= 0:
        begin = space + 1
    end = max(begin + CHARACTERS, min(best.end, begin + 2 * CHARACTERS))
    if end < len(text) and (space := text.rfind(" ", max(best.end, begin + 1), end + 1)) > 0:
        end = space
    return Span(begin, min(end, len(text)))


def _densest(hits: Sequence[Span]) -> Span:
    """The first hit that has most others within reach."""
    best, most, last = Span(0, 0), 0, 0
    for place, hit in enumerate(hits):
        while last < len(hits) and hits[last].end <= hit.begin + CHARACTERS - LEAD:
            last += 1
        if last - place > most:
            best, most = hit, last - place
    return best
