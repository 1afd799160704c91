"""The part of a long text that a question is about."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice

from apps.memory.words import content_stems

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+|\n+|$)")
# What is looked through; the rest of a document would cost more than it tells.
_LOOKED_THROUGH = 20_000
_SENTENCES = 300
ELLIPSIS = "…"


def excerpt(text: str, stems: Collection[str], length: int) -> str:
    """Consecutive sentences of at most `length` characters in all, those that hold most of the stems; an ellipsis where
    something was left out."""
    if len(text) <= length:
        return text
    sentences = islice(_SENTENCE.finditer(text, 0, _LOOKED_THROUGH), _SENTENCES)
    spans = [sentence.span() for sentence in sentences] or [(0, length)]
    wanted = set(stems)
    holds = [wanted.intersection(content_stems(text[start:end])) for start, end in spans]
    first = max(range(len(spans)), key=lambda index: (len(_held(holds, spans, index, length)), -index))
    start, end = spans[first][0], spans[_last(spans, first, length)][1]
    end = min(end, start + length)
    return (ELLIPSIS if start else "") + text[start:end].strip() + (ELLIPSIS if end < len(text) else "")


def _held(holds: list[set[str]], spans: list[tuple[int, int]], first: int, length: int) -> set[str]:
    """The stems in the sentences from the first one on that fit together."""
    return set().union(*holds[first : _last(spans, first, length) + 1])


def _last(spans: list[tuple[int, int]], first: int, length: int) -> int:
    """The last sentence that ends within the length from the first one's beginning; at least the first itself."""
    last = first
    while last + 1 < len(spans) and spans[last + 1][1] - spans[first][0] <= length:
        last += 1
    return last
