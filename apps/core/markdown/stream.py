"""Markdown that is still being written: only its open end is parsed again at each feed.

A top-level block is closed for good once a later one begins on a line that is complete. What is not closed is the
tail. A long tail (one huge list, table or code block) is parsed again only after it has grown by a share of its length;
the lines that came since are shown after it, as Markdown of their own or, inside code, as more code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import dedent

from apps.core.markdown.blocks import BUDGET, Block, Piece, Pieces, cost, cut, plain, render

LONG_TAIL = 2_000
"""Characters of open tail from which it is no longer parsed whole at each feed."""
MAX_GROWTH = 4_000
"""Characters that a long tail may grow before it is parsed whole again; below that, an eighth of its length."""

_END_OF_CODE = re.compile(r"^[ \t>]*(?:`{3,}|~{3,}|\$\$|\\\])[ \t]*[\r\n]", re.MULTILINE)
_LINE_END = re.compile(r"\r\n?|\n")


class StreamRenderer:
    """One message that is being streamed; to be fed by one thread at a time.

    The page keeps blocks by index: a block that `feed` returns replaces the one of its index, and one with an empty
    range (`start == end`) says that there is no such block any more. The ranges of those that remain touch.
    """

    def __init__(self) -> None:
        self._closed: list[str] = []
        self._closed_length = 0
        self._closed_blocks = 0
        self._budget = BUDGET
        self._is_over_budget = False
        self._references: dict[str, dict[str, object]] = {}
        self._tail = ""
        self._parsed = 0  # how much of the tail self._open covers
        self._open: list[Block] = []
        self._is_in_code = False
        self._shown: dict[int, Block] = {}

    @property
    def text(self) -> str:
        """All that was fed."""
        return "".join(self._closed) + self._tail

    def feed(self, text: str) -> list[Block]:
        """Append text; returns, in order, the blocks that differ from what was returned before."""
        self._tail += text
        closed = self._advance() if self._is_due() else []
        return self._changes(closed, [*self._open, *self._since()])

    def _is_due(self) -> bool:
        """Whether the tail has to be parsed again."""
        if len(self._tail) <= LONG_TAIL:
            return True
        share = len(self._tail) // 8
        if len(self._tail) - self._parsed >= (share if self._is_over_budget else min(share, MAX_GROWTH)):
            return True
        return self._is_in_code and bool(_END_OF_CODE.search(self._tail, self._parsed))

    def _advance(self) -> list[Block]:
        """Parse the tail, of a long one the complete lines only; returns the blocks that this closed."""
        complete = self._tail.rfind("\n") + 1
        if len(self._tail) <= LONG_TAIL or complete <= self._parsed:
            return self._parse(len(self._tail))
        closed = self._parse(complete)
        return closed if len(self._tail) > LONG_TAIL else [*closed, *self._parse(len(self._tail))]

    def _parse(self, length: int) -> list[Block]:
        """Parse the first characters of the tail and close what can be closed, which is returned."""
        text = self._tail[:length]
        references = dict(self._references)
        found = self._cut(text, references)
        self._is_over_budget = found.is_over_budget
        count = _closed_count(found)
        blocks = self._blocks(found.pieces)
        opening = found.pieces[count].start if found.pieces else 0
        self._keep_references(references, _LINE_END.sub("\n", text[:opening]).count("\n"))
        self._close(text[:opening], count)
        self._open = blocks[count:]
        self._parsed = length - opening
        self._is_in_code = bool(found.pieces) and found.pieces[-1].is_code
        return blocks[:count]

    def _cut(self, text: str, references: dict[str, dict[str, object]]) -> Pieces:
        if not self._is_over_budget:
            return cut(text, references, self._budget)
        return Pieces([Piece(0, len(text), lambda: plain(text))], 0, is_over_budget=True)

    def _blocks(self, pieces: Sequence[Piece]) -> list[Block]:
        offset = self._closed_length
        return [
            Block(index, offset + piece.start, offset + piece.end, piece.html())
            for index, piece in enumerate(pieces, self._closed_blocks)
        ]

    def _keep_references(self, found: dict[str, dict[str, object]], lines: int) -> None:
        """Remember the link definitions of the closed lines; those of the tail may still grow."""
        for label in found.keys() - self._references.keys():
            where = found[label]["map"]
            if isinstance(where, list) and where[0] < lines:
                self._references[label] = found[label]

    def _close(self, text: str, blocks: int) -> None:
        if blocks:
            self._closed.append(text)
            self._closed_length += len(text)
            self._closed_blocks += blocks
            self._budget -= cost(text)
            self._tail = self._tail[len(text) :]

    def _since(self) -> list[Block]:
        """What came after the part of the tail that was parsed."""
        text = self._tail[self._parsed :]
        if not text:
            return []
        html = plain(text) if self._is_over_budget or self._is_in_code else render(dedent(text))
        start = self._closed_length + self._parsed
        return [Block(self._closed_blocks + len(self._open), start, start + len(text), html)]

    def _changes(self, closed: list[Block], still_open: list[Block]) -> list[Block]:
        now = [*closed, *still_open]
        changed = [block for block in now if self._shown.get(block.index) != block]
        end = self._closed_length + len(self._tail)
        last = self._closed_blocks + len(still_open) - 1
        gone = [Block(index, end, end, "") for index in sorted(self._shown) if index > last]
        self._shown = {block.index: block for block in still_open}
        return [*changed, *gone]


def _closed_count(found: Pieces) -> int:
    """How many pieces are closed: those before the last one that begins on a complete line."""
    if found.is_over_budget:
        return len(found.pieces) - 1
    complete = sum(piece.start < found.unfinished for piece in found.pieces)
    return max(complete - 1, 0)
