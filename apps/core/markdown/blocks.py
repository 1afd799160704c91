"""A text cut into its top-level blocks, each with its range in the text and its safe HTML."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.core.markdown.parser import References

BUDGET = 1_200_000
"""Units of work (about one microsecond each) that one text may cost, see `cost`: some 200,000 characters of dense
Markdown, some 20,000 of nothing but brackets. The block that exceeds it and all after it are shown unformatted."""

_PUNCTUATION = dict.fromkeys("\n!\"#%&'()*+,-./:;<=>?@[]^_`{|}~", 20) | {"[": 60, "\\": 60, "$": 150}
_LINE_END = re.compile(r"\r\n?|\n")
_UNPRINTABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Block:
    """The safe HTML of `text[start:end]`, in characters; `index` counts the blocks of a text from 0."""

    index: int
    start: int
    end: int
    html: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A top-level block that is not rendered yet: `text[start:end]`."""

    start: int
    end: int
    html: Callable[[], str]
    is_code: bool = False
    """It ends in a code block or formula that is still open, so what follows is more of the same."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a text was cut into; `unfinished` is where its last, unterminated line starts."""

    pieces: list[Piece]
    unfinished: int
    is_over_budget: bool = False


def render(text: str) -> str:
    """The safe HTML of the whole text."""
    return "".join(block.html for block in render_blocks(text))


def render_blocks(text: str) -> list[Block]:
    """The whole text as blocks whose ranges touch, from 0 to `len(text)`; joined, their HTML is `render(text)`."""
    return [
        Block(index, piece.start, piece.end, piece.html()) for index, piece in enumerate(cut(text, {}, BUDGET).pieces)
    ]


def plain(text: str) -> str:
    """The text as it was written, for what is not formatted."""
    return f'<pre class="plain">{escape(printable(text))}</pre>\n' if text.strip() else ""


def printable(text: str) -> str:
    """The text without the code points that UTF-8 or HTML cannot carry; as long as before."""
    return _UNPRINTABLE.sub("\ufffd", text)


def cost(text: str) -> int:
    """Units of work to format the text at worst: characters are cheap, those that may mean something are not."""
    return len(text) + sum(units * text.count(character) for character, units in _PUNCTUATION.items())


def cut(text: str, references: References, budget: int) -> Pieces:
    """Parse the text; link definitions found in it are added to `references`."""
    if not text:
        return Pieces([], 0)
    lines = [0, *(match.end() for match in _LINE_END.finditer(text))]
    if cost(text) <= budget:
        return Pieces(_parse(text, lines, references), lines[-1])
    affordable = bisect_right(lines, budget, key=lambda start: cost(text[:start])) - 1
    pieces = _parse(text[: lines[affordable]], lines, references)[:-1]
    start = pieces[-1].end if pieces else 0
    rest = Piece(start, len(text), partial(plain, text[start:]), is_code=True)
    return Pieces([*pieces, rest], lines[-1], is_over_budget=True)


def _parse(text: str, lines: list[int], references: References) -> list[Piece]:
    """The pieces of a text, where `lines` are the offsets at which its lines start."""
    from apps.core.markdown.parser import parse

    parts = parse(_LINE_END.sub("\n", printable(text)), references)
    if not parts:
        return [Piece(0, len(text), str)] if text else []
    starts = [0, *(lines[part.line] for part in parts[1:])]
    pieces = []
    for part, start, end in zip(parts, starts, [*starts[1:], len(text)], strict=True):
        html = partial(plain, text[start:end]) if part.is_too_deep else part.html
        pieces.append(Piece(start, end, html, is_code=part.is_open_code))
    return pieces
