"""The part of a long text that a question is about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice
from typing import NamedTuple

from apps.memory.words import stems_held

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+|\n+|$)")
# What is looked through; the rest of a document would cost more than it tells.
_LOOKED_THROUGH = 20_000
_SENTENCES = 300
ELLIPSIS = "…"


class Span(NamedTuple):
    """A stretch of a text."""

    begin: int
    end: int


def excerpt(text: str, stems: Collection[str], length: int) -> str:
    """Consecutive sentences of at most `length` characters in all, those that hold most of the stems; an ellipsis where
    something was left out."""
    if len(text) <= length:
        return text
    sentences = islice(_SENTENCE.finditer(text, 0, _LOOKED_THROUGH), _SENTENCES)
    spans = [Span(*sentence.span()) for sentence in sentences] or [Span(0, length)]
    held = stems_held([text[span.begin : span.end] for span in spans], stems)
    begin, end = _densest(spans, held, length)
    end = min(end, begin + length)
    return (ELLIPSIS if begin else "") + text[begin:end].strip() + (ELLIPSIS if end < len(text) else "")


def _densest(spans: Sequence[Span], held: Sequence[Collection[str]], length: int) -> Span:
    """Of the stretches that are no longer than this, the first that holds most; at least a sentence."""
    best, most = Span(0, 0), -1
    within, after = Counter[str](), 0
    for place, span in enumerate(spans):
        while after <= place or (after < len(spans) and spans[after].end - span.begin <= length):
            for stem in held[after]:
                within[stem] += 1
            after += 1
        if len(within) > most:
            best, most = Span(span.begin, spans[after - 1].end), len(within)
        for stem in held[place]:
            within[stem] -= 1
            if not within[stem]:
                del within[stem]
    return best
