"""Code blocks: highlighted on the server with classes, so that the page needs neither a script nor inline styles.

Only languages listed here are highlighted: each lexer is a module to load and a set of patterns to trust with hostile
text. Their patterns are quadratic or worse on odd input, so each text has an allowance of processor time for them.
Anything else, anything long and what exceeds the allowance is shown as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from time import thread_time

MAX_HIGHLIGHTED = 40_000
"""Characters of a closed code block that is still highlighted."""
MAX_HIGHLIGHTED_OPEN = 2_000
"""The same while its end has not come: it is rendered again and again as it grows."""

_LABEL = re.compile(r"[A-Za-z0-9_+#.-]{1,30}")
_LEXERS = {
    alias: name
    for name, aliases in {
        "bash": "sh shell zsh",
        "bat": "cmd batch",
        "c": "h",
        "clojure": "clj",
        "cmake": "",
        "console": "shell-session terminal",
        "cpp": "c++ hpp cc",
        "csharp": "c# cs",
        "css": "",
        "dart": "",
        "diff": "patch udiff",
        "docker": "dockerfile",
        "elixir": "ex",
        "erlang": "erl",
        "fsharp": "f#",
        "go": "golang",
        "graphql": "gql",
        "groovy": "gradle",
        "haskell": "hs",
        "hcl": "terraform tf",
        "html": "htm",
        "html+django": "django jinja jinja2",
        "http": "",
        "ini": "cfg conf dosini",
        "java": "",
        "javascript": "js jsx mjs node",
        "json": "jsonc json5 jsonl",
        "julia": "jl",
        "kotlin": "kt",
        "latex": "tex",
        "lua": "",
        "make": "makefile mk",
        "markdown": "md",
        "matlab": "",
        "nginx": "",
        "nix": "",
        "objective-c": "objc",
        "ocaml": "ml",
        "perl": "pl",
        "php": "",
        "powershell": "ps1 pwsh posh",
        "protobuf": "proto",
        "pycon": "",
        "python": "py python3 py3",
        "pytb": "traceback",
        "r": "",
        "ruby": "rb",
        "rust": "rs",
        "scala": "",
        "scheme": "",
        "scss": "sass",
        "sql": "mysql postgresql postgres sqlite plsql",
        "swift": "",
        "toml": "",
        "typescript": "ts tsx",
        "vim": "viml",
        "xml": "svg xsl",
        "yaml": "yml",
        "zig": "",
    }.items()
    for alias in [name, *aliases.split()]
}


@dataclass(slots=True)
class Allowance:
    """Processor time, in seconds, that the code blocks of one text may still take to highlight."""

    seconds: float = 1.0


def figure(source: str, *, info: str, is_open: bool, allowance: Allowance) -> str:
    """The block as a figure whose caption is its language, the first word of `info`; not yet sanitised."""
    match = _LABEL.match(info.strip())
    language = match[0].lower() if match else ""
    limit = MAX_HIGHLIGHTED_OPEN if is_open else MAX_HIGHLIGHTED
    lexer = _LEXERS.get(language) if len(source) <= limit else None
    body = (_highlight(source, lexer, allowance) if lexer else None) or escape(source)
    label = language or "text"
    return (
        f'<figure class="code" data-language="{escape(label)}"><figcaption>{escape(label)}</figcaption>'
        f'<pre><code class="highlight">{body}</code></pre></figure>\n'
    )


def _highlight(source: str, lexer_name: str, allowance: Allowance) -> str | None:
    """The source as spans, a class per kind of token, no character added or lost; None if it takes too long."""
    from pygments.lexers import get_lexer_by_name
    from pygments.token import STANDARD_TYPES

    lexer = get_lexer_by_name(lexer_name, stripnl=False, ensurenl=False)
    parts: list[str] = []
    started = thread_time()
    for kind, value in lexer.get_tokens(source):
        if thread_time() - started > allowance.seconds:
            allowance.seconds = 0
            return None
        name = next((STANDARD_TYPES[known] for known in reversed(kind.split()) if known in STANDARD_TYPES), "")
        parts.append(f'<span class="{name}">{escape(value)}</span>' if name and value.strip() else escape(value))
    allowance.seconds -= thread_time() - started
    return "".join(parts)
