"""Markdown to safe HTML, whole or block by block while it streams.

The text comes from a model server that we do not trust. It is parsed with raw HTML switched off, rendered, and what was
rendered is sanitised last, block by block, against a list of what we ourselves produce. So the HTML holds no script,
style, event handler, id or remote request; its links are absolute http(s) or mailto ones.

Promises: nothing here raises, whatever the text. Every character lies in exactly one block. Time is bounded: a text
has a budget (`blocks.BUDGET`), and the part that exceeds it is shown as it was written, unformatted.
The one surprise: constructs that reach back over closed blocks (`[label]: address` after its use) are right in
`render` and not before, so a page replaces what it streamed by `render(text)` at the end.

The libraries are imported at the first rendering, Pygments and latex2mathml at the first code block or formula.
"""

from __future__ import annotations

from apps.core.markdown.blocks import Block, render, render_blocks
from apps.core.markdown.stream import StreamRenderer

__all__ = ["Block", "StreamRenderer", "render", "render_blocks"]
