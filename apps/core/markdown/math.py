r"""Formulas: `$…$`, `$$…$$`, `\(…\)` and `\[…\]`, turned into MathML here so that the page needs no script for them.

A formula that is too long, defines macros (which make much of little) or cannot be parsed is shown as its source.
A displayed formula ends at the latest with a blank line, as in TeX; otherwise a stray `$$` could still change
every block after it.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from html import escape

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

MAX_FORMULA = 2_000
"""Characters of one formula that is still typeset."""

logger = logging.getLogger(__name__)

_CLOSERS = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}
_DOLLARS = re.compile(rf"\$\$((?:[^$\\]|\\.){{1,{MAX_FORMULA}}}+)\$\$", re.DOTALL)
_DOLLAR = re.compile(rf"\$(?![\s$])((?:[^$\\]|\\.){{1,{MAX_FORMULA}}}+)(?<!\s)\$(?![\d$])", re.DOTALL)
_DEFINITION = re.compile(r"\\(?:(?:re)?new|provide|def|[egx]def|let|Declare|require|input|include)", re.IGNORECASE)
_CHARACTER_REFERENCE = re.compile(r"&amp;(#x[0-9A-Fa-f]{1,6};)")


def install(parser: MarkdownIt) -> None:
    """Teach a parser the four notations."""
    parser.inline.ruler.before("escape", "math_inline", _inline)
    parser.block.ruler.before("fence", "math_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})


def html(token: Token) -> str:
    """The formula of a token as MathML, or its source; not yet sanitised."""
    mathml = None if token.meta.get("open") else _mathml(token.content.strip(), token.info)
    return mathml or f'<code class="math">{escape(token.markup + token.content + _closing(token))}</code>'


def _closing(token: Token) -> str:
    return "" if token.meta.get("open") else _CLOSERS.get(token.markup, token.markup)


@lru_cache(maxsize=128)
def _mathml(latex: str, display: str) -> str | None:
    if not latex or len(latex) > MAX_FORMULA or _DEFINITION.search(latex):
        return None
    from xml.etree.ElementTree import tostring

    from latex2mathml.converter import convert_to_element

    try:
        xml = tostring(convert_to_element(latex, display=display), encoding="unicode")
    except Exception as error:  # noqa: BLE001 - its errors have no common base, and any of them means "not a formula"
        logger.debug("A formula of %d characters is shown as its source: %r", len(latex), error)
        return None
    return _CHARACTER_REFERENCE.sub(r"&\1", xml)


def _inline(state: StateInline, silent: bool) -> bool:
    """A formula in a line of text."""
    found = _inline_dollars(state) if state.src[state.pos] == "$" else _inline_brackets(state)
    if found is None:
        return False
    markup, content, end = found
    if not silent:
        token = state.push("math_inline", "math", 0)
        token.markup, token.content = markup, content
        token.info = "inline" if markup in {"$", r"\("} else "block"
    state.pos = end
    return True


def _inline_dollars(state: StateInline) -> tuple[str, str, int] | None:
    match = _DOLLARS.match(state.src, state.pos, state.posMax) or _DOLLAR.match(state.src, state.pos, state.posMax)
    if match is None:
        return None
    return ("$$" if match[0].startswith("$$") else "$"), match[1], match.end()


def _inline_brackets(state: StateInline) -> tuple[str, str, int] | None:
    markup = state.src[state.pos : state.pos + 2]
    if markup not in {r"\(", r"\["}:
        return None
    start = state.pos + 2
    end = state.src.find(_CLOSERS[markup], start, min(state.posMax, start + MAX_FORMULA))
    return (markup, state.src[start:end], end + 2) if end > start else None


def _block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A formula on lines of its own; one that the text does not close (yet) reaches to the end of the text."""
    start = state.bMarks[start_line] + state.tShift[start_line]
    markup = state.src[start : start + 2]
    if markup not in {"$$", r"\["} or state.is_code_block(start_line):
        return False
    closer = _CLOSERS[markup]
    first = state.src[start + 2 : state.eMarks[start_line]].rstrip()
    if closer in first:
        return (
            _push(state, start_line, start_line + 1, silent, first) if first.find(closer) == len(first) - 2 else False
        )
    line = _closing_line(state, start_line, end_line, closer)
    if line is None:
        return False
    text = state.getLines(start_line, line, state.blkIndent, False).lstrip()[2:]
    return _push(state, start_line, line, silent, text.rstrip())


def _closing_line(state: StateBlock, start_line: int, end_line: int, closer: str) -> int | None:
    """The line after the formula that starts at `start_line`, or None if a blank line comes first."""
    hopeless: dict[str, int] = state.env.setdefault("hopeless_math", {})
    if start_line < hopeless.get(closer, 0):
        return None
    for line in range(start_line + 1, end_line):
        if state.isEmpty(line):
            hopeless[closer] = line
            return None
        if state.sCount[line] < state.blkIndent:
            return line
        if state.src[state.bMarks[line] : state.eMarks[line]].rstrip().endswith(closer):
            return line + 1
    return end_line


def _push(state: StateBlock, start_line: int, end_line: int, silent: bool, text: str) -> bool:
    """Whether there is a formula; asked silently (may it interrupt a paragraph?) one that is not closed is none yet."""
    start = state.bMarks[start_line] + state.tShift[start_line]
    markup = state.src[start : start + 2]
    closer = _CLOSERS[markup]
    if silent:
        return text.endswith(closer)
    token = state.push("math_block", "math", 0)
    token.markup, token.info, token.map = markup, "block", [start_line, end_line]
    token.meta["open"] = not text.endswith(closer)
    token.content = text.removesuffix(closer)
    state.line = end_line
    return True
