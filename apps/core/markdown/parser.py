"""The Markdown dialect: CommonMark with tables, strikethrough, task lists, bare links and formulas, without HTML.

Token trees are adapted to a chat page before they are rendered: headings step down under the page's own, an image
becomes a link, a table scrolls sideways, alignment is a class because our policy forbids inline styles.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from apps.core.markdown import code, math
from apps.core.markdown.sanitize import sanitize

MAX_NESTING = 40
"""Levels of containers; the library drops what lies deeper, so such a block is shown unformatted."""

References = dict[str, dict[str, object]]
"""Link definitions by label, as the library keeps them."""

_CONTAINERS = frozenset({"blockquote_open", "list_item_open"})
_ABSOLUTE = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
_BARE_LINK = re.compile(
    r"https?://[^\s<>\"`|\\^{}\[\]*\u3000-\u303f\uff01-\uff0f\uff1a-\uff20]+",  # nor the punctuation of Chinese
    re.IGNORECASE,
)
_TASK = re.compile(r"\[([ xX])\](?=\s)")
_DEMOTED = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}


@dataclass(frozen=True, slots=True)
class Part:
    """The tokens of one top-level block, which starts at the given line (from 0)."""

    line: int
    tokens: list[Token]
    allowance: code.Allowance

    def html(self) -> str:
        """The safe HTML of this block."""
        parser = _parser()
        return sanitize(parser.renderer.render(self.tokens, parser.options, {"allowance": self.allowance}))

    @property
    def is_too_deep(self) -> bool:
        return any(token.type in _CONTAINERS and token.level >= MAX_NESTING - 1 for token in self.tokens)

    @property
    def is_open_code(self) -> bool:
        leaves = [token for token in self.tokens if token.nesting == 0]
        return bool(leaves and leaves[-1].meta.get("open"))


def parse(text: str, references: References) -> list[Part]:
    """The top-level blocks of a text whose lines end in newlines; definitions found are added to `references`."""
    env: EnvType = {"references": references}
    allowance = code.Allowance()
    parts: list[Part] = []
    for token in _parser().parse(text, env):
        if token.level == 0 and token.nesting >= 0 and token.map:
            parts.append(Part(token.map[0], [], allowance))
        parts[-1].tokens.append(token)
    return parts


class _Renderer(RendererHTML):
    """Writes the elements that `sanitize` knows."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        return code.figure(
            token.content, info=token.info, is_open=bool(token.meta.get("open")), allowance=env["allowance"]
        )

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return code.figure(tokens[idx].content, info="", is_open=False, allowance=env["allowance"])

    def math_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return math.html(tokens[idx])

    def math_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<div class="math-block">{math.html(tokens[idx])}</div>\n'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def task(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        checked = " checked" if tokens[idx].info else ""
        return f'<input type="checkbox" disabled{checked}>'


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802 - the library's name
        """Whether a link is made at all: a relative one would point into our own site."""
        return bool(_ABSOLUTE.match(url))


_of_thread = threading.local()


def _parser() -> _Parser:
    """This thread's parser; the library does not promise that one may be shared."""
    parser = getattr(_of_thread, "parser", None)
    if parser is None:
        parser = _of_thread.parser = _make_parser()
    return cast("_Parser", parser)


def _make_parser() -> _Parser:
    parser = _Parser("commonmark", {"html": False, "maxNesting": MAX_NESTING}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough"]).disable(["html_block", "html_inline"])
    parser.inline.ruler.after("text", "bare_link", _bare_link)
    math.install(parser)
    parser.core.ruler.push("adapt", _adapt)
    return parser


def _bare_link(state: StateInline, silent: bool) -> bool:
    """An address that stands in the text, found at its colon; the text before it is pending already."""
    if state.linkLevel or not state.src.startswith("://", state.pos):
        return False
    scheme = next((word for word in ("https", "http") if _ends_with_word(state.src, state.pos, word)), None)
    match = _BARE_LINK.match(state.src, state.pos - len(scheme), state.posMax) if scheme else None
    if scheme is None or match is None:
        return False
    address = _without_closing_punctuation(match[0])
    href = state.md.normalizeLink(address)
    if len(address) <= len(scheme) + 3 or not state.md.validateLink(href):
        return False
    if not silent:
        if not state.pending.lower().endswith(scheme):
            return False
        state.pending = state.pending[: -len(scheme)]
        state.push("link_open", "a", 1).attrs = {"href": href}
        state.push("text", "", 0).content = address
        state.push("link_close", "a", -1)
    state.pos = match.start() + len(address)
    return True


def _ends_with_word(text: str, end: int, word: str) -> bool:
    start = end - len(word)
    return (
        start >= 0 and text[start:end].lower() == word and not re.match("[A-Za-z0-9]", text[max(start - 1, 0) : start])
    )


def _without_closing_punctuation(address: str) -> str:
    """The address without the sentence's punctuation, keeping a bracket that it opened itself."""
    while address:
        last = address[-1]
        if last == ")" and address.count("(") >= address.count(")"):
            break
        if last not in ")?!.,:;_~'":
            break
        address = address[:-1]
    return address


def _adapt(state: StateCore) -> None:
    lines: list[str] | None = None
    for index, token in enumerate(state.tokens):
        if token.type in {"heading_open", "heading_close"}:
            token.tag = _DEMOTED[token.tag]
        elif token.type in {"th_open", "td_open"} and (style := token.attrs.pop("style", None)):
            token.attrs["class"] = "align-" + str(style).removeprefix("text-align:")
        elif token.type == "fence":
            lines = lines or state.src.split("\n")
            token.meta["open"] = _is_open_fence(token, lines)
        elif token.type == "inline":
            token.children = list(_images_as_links(token.children or []))
            if index > 1 and state.tokens[index - 2].type == "list_item_open":
                _mark_task(state.tokens[index - 2], token)


def _is_open_fence(token: Token, lines: list[str]) -> bool:
    first, end = token.map or [0, 0]
    last = lines[end - 1].lstrip(" \t>").rstrip() if end - first > 1 else ""
    return len(last) < len(token.markup) or set(last) != {token.markup[0]}


def _mark_task(item: Token, inline: Token) -> None:
    match = _TASK.match(inline.content)
    children = inline.children or []
    if match and children and children[0].type == "text" and children[0].content.startswith(match[0]):
        item.attrs["class"] = "task"
        children[0].content = children[0].content[len(match[0]) :]
        children.insert(0, Token("task", "input", 0, info=match[1].strip()))


def _images_as_links(tokens: list[Token]) -> Iterator[Token]:
    """The tokens with each image as a link to it, or as its words when it stands in a link or leads nowhere safe."""
    inside_link = 0
    for token in tokens:
        inside_link += token.nesting if token.type in {"link_open", "link_close"} else 0
        if token.type != "image":
            yield token
            continue
        address = str(token.attrs.get("src", ""))
        words = Token("text", "", 0, content=_words(token.children or []) or address)
        if inside_link or not address:
            yield words
        else:
            yield from (Token("link_open", "a", 1, attrs={"href": address}), words, Token("link_close", "a", -1))


def _words(tokens: list[Token]) -> str:
    return "".join(
        " " if token.type.endswith("break") else _words(token.children or []) or token.content for token in tokens
    )
