"""Markdown from an untrusted model becomes safe HTML, whole and block by block."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from apps.core.markdown import Block, StreamRenderer, render, render_blocks
from apps.core.markdown.sanitize import sanitize

ANSWER = """# Title

A *first* paragraph with `code`, a link https://example.com/a_b, 12 € and $x^2$.
Its second line
is lazy.

Setext
======

- one
- two

  with a paragraph

  ```python
  def f(x):
      return "a<b"
  ```
- **three**
* another list
**bold start

1. first
   - nested
2. second

| a | b |
|---|--:|
| 1 | $\\frac{a}{b}$ |
after the table
---

$$
\\int_0^1 x\\,dx
$$
So \\[ a < b \\] and \\(c\\):
\\[
\\sqrt{2}
\\]
> quote
lazy
> > deeper

    indented code


    more of it

```js
let a = `x`;

$$ not math
```
$$
- a list after dollars
- that no one closed

~~~
an open fence
"""

SAMPLES = {
    "an answer": ANSWER,
    "an answer with CRLF": ANSWER.replace("\n", "\r\n"),
    "an answer with lone CR": ANSWER.replace("\n", "\r"),
    "blank lines first": "\n\n  \n\ttext\n\n# x",
    "only blank": " \n\n\t\n",
    "a list or emphasis": "- a\n**b**\n- c\n-\n\n\n\n- d\n    e\n\n        f\n# g",
    "rules and headings": "a\n---\nb\n***\n- c\n---\n# d\n===\n\\# e",
    "tables": "a | b\n--|--\n1 | 2\n\nx\na | b\n--|--\n- a | b\n--|--\n3|4\n> q | r\n--|--",
    "fences": "```\na\n````\n~~~\nb\n```\nc\n~~~~\n> ```\n> d\ne\n- ```\n  f\n\n  g\nh",
    "dollars": "$5 and $10\n\n$$a$$\n$$b\n\nc$$\n\n$$ d\n$$\ne $$f$$ g\n\n> $$\n> h\n> $$\ni\n\n- $$\n  j\n\nk",
    "unusual characters": "a\0b\n\n\ud800 c\udfff\n\n\u2028d\u2029e\x0bf\x0cg\x85h\n\n\ufeffi",
    "right to left and emoji": "\u05e9\u05dc\u05d5 *\u05e2\u05d5*\n\n- \U0001f469\u200d\U0001f467 e\u0301",
    "html": "<div>\n\n*a*\n\n</div>\n<script>\nb\n\n</script>\n<!-- c\n\n-->",
}

HOSTILE = """<script>alert(1)</script>
<img src=x onerror=alert(1)>
<svg/onload=alert(1)>
<svg><style><img src=x onerror=alert(1)></style></svg>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">
<math href="javascript:alert(1)">x</math>
<a href=https://x.org onclick=alert(1) style=color:red id=x>y</a>
<iframe srcdoc="<script>alert(1)</script>"></iframe><form action=//x><button formaction=javascript:alert(1)>
[x](javascript:alert(1)) [x](JaVaScRiPt:alert(1)) [x](java\tscript:alert(1)) [x](&#106;avascript:alert(1))
[x](<javascript:alert(1)>) [x](javascript&colon;alert(1)) [x](data:text/html;base64,PHNjcmlwdD4=) [x](vbscript:a)
[x](/logout) [x](//evil.example) [x](\\\\evil.example) [x](?q) [x](#y) [x](file:///etc/passwd) [x](blob:https://a/b)
<javascript:alert(1)> <data:text/html,x> <x-evil:y> javascript:alert(1) //evil.example
![x](javascript:alert(1)) ![x](data:image/svg+xml;base64,AAAA) ![x](https://evil.example/track.png "t")
[![x](https://evil.example/a.png)](javascript:alert(1)) [![x](https://evil.example/a.png)](https://ok.example)
[[[[x](javascript:a)](javascript:b)](javascript:c)](javascript:d) [a]: javascript:alert(1)
[x](https://a.example"onmouseover="alert(1)) [x](https://a.example 'x" onclick="alert(1)')
https://a.example/"onmouseover="alert(1) https://a.example/<script> https://a.example/&quot;onclick=
$\\text{<img src=x onerror=alert(1)>}$ $\\href{javascript:alert(1)}{x}$ $\\class{code}{x}$ $\\style{position:fixed}{x}$
$\\text{</mtext></math><script>alert(1)</script>}$ $\\text{&#x3c;script&#x3e;}$ $\\color{red"onclick="alert(1)}{x}$
$\\hspace{9em" onclick="alert(1)}$ \\(<script>alert(1)</script>\\) $$\\require{html}\\cssId{x}{y}$$ $\\label{x}$
`<script>alert(1)</script>` ``</code><script>alert(1)</script>``

```html" onclick="alert(1)
</code></pre><script>alert(1)</script>
```
```"><script>alert(1)</script>
x
```
~~~javascript
"</span><img src=x onerror=alert(1)>"
~~~
| <script> | `|` |
|:-:|--:|
| [x](javascript:alert(1)) | <b onclick=alert(1)> |

- [x] <input autofocus onfocus=alert(1)>
""".splitlines(keepends=True)

ALLOWED = {
    "a": {"href", "target", "rel"},
    "code": {"class"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "figure": {"class", "data-language"},
    "input": {"type", "disabled", "checked"},
    "li": {"class"},
    "math": {"display"},
    "mspace": {"width"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence", "form"},
    "ol": {"start"},
    "pre": {"class"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
    **{
        tag: set[str]()
        for tag in (
            *("blockquote", "br", "del", "em", "figcaption", "h3", "h4", "h5", "h6", "hr", "p", "s", "strong", "ul"),
            *(
                "table",
                "tbody",
                "thead",
                "tr",
                "mfrac",
                "mn",
                "mrow",
                "msqrt",
                "mstyle",
                "msub",
                "munder",
                "mover",
                "munderover",
                "msubsup",
                "msup",
                "mtext",
            ),
        )
    },
}


AFTERWARDS = "\n\n" + "afterwards\n\n" * 500


class Elements(HTMLParser):
    """The start tags of some HTML with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_inert(html: str) -> None:
    for tag, attributes in Elements(html).found:
        assert tag in ALLOWED, html
        assert set(attributes) <= ALLOWED[tag], html
        if tag == "a":
            assert re.match(r"https?://|mailto:", attributes.get("href") or "https://"), html
            assert (attributes["target"], attributes["rel"]) == ("_blank", "noopener noreferrer nofollow")


def chunks(text: str, rng: random.Random, longest: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + rng.randint(1, longest)
        yield text[start:end]
        start = end


def stream(pieces: Iterable[str]) -> Iterator[tuple[StreamRenderer, list[Block], dict[int, Block]]]:
    """Feed the pieces to a page that keeps blocks by index; yields what it holds after each."""
    renderer, page = StreamRenderer(), dict[int, Block]()
    for piece in pieces:
        changed = renderer.feed(piece)
        page |= {block.index: block for block in changed}
        page = {index: page[index] for index in sorted(page) if page[index].start < page[index].end}
        yield renderer, changed, page


def assert_contiguous(blocks: Iterable[Block], length: int) -> None:
    position = 0
    for block in blocks:
        assert block.start == position
        position = block.end
    assert position == length


# What it makes of Markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a *b* **c** ~~d~~ `e`", "<p>a <em>b</em> <strong>c</strong> <s>d</s> <code>e</code></p>\n"),
        ("# a\n## b\n### c\n#### d\n###### e", "<h3>a</h3>\n<h4>b</h4>\n<h5>c</h5>\n<h6>d</h6>\n<h6>e</h6>\n"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>\n'),
        ("<b>a</b>", "<p>&lt;b&gt;a&lt;/b&gt;</p>\n"),
        ("[a](/b)", "<p>[a](/b)</p>\n"),
        ("$5 or $10", "<p>$5 or $10</p>\n"),
        ("", ""),
    ],
)
def test_markdown_becomes_html(text: str, html: str) -> None:
    assert render(text) == html


@pytest.mark.parametrize(
    ("text", "address", "words"),
    [
        ("[a](https://x.example/?b=1&c=2)", "https://x.example/?b=1&c=2", "a"),
        ("see https://x.example/a_b_(c).", "https://x.example/a_b_(c)", "https://x.example/a_b_(c)"),
        ("(https://x.example)", "https://x.example", "https://x.example"),
        ("**https://x.example**", "https://x.example", "https://x.example"),
        ("见https://x.example。好", "https://x.example", "https://x.example"),
        ("![a *b*](https://x.example/c.png)", "https://x.example/c.png", "a b"),
        ("[![a](https://x.example/c.png)](https://y.example)", "https://y.example", "a"),
        ("<mailto:a@x.example>", "mailto:a@x.example", "mailto:a@x.example"),
        ("[a][b]\n\n[b]: https://x.example", "https://x.example", "a"),
    ],
)
def test_links_open_elsewhere_and_images_become_links(text: str, address: str, words: str) -> None:
    html = render(text)
    [(_, attributes)] = [element for element in Elements(html).found if element[0] == "a"]
    assert attributes == {"href": address, "target": "_blank", "rel": "noopener noreferrer nofollow"}
    assert f">{words}</a>" in html
    assert "<img" not in html


def test_a_known_language_is_highlighted_and_an_unknown_one_is_shown_as_it_is() -> None:
    assert '<figure class="code" data-language="py"><figcaption>py</figcaption>' in render("```py\nimport a\n```")
    assert '<span class="kn">import</span>' in render("```py\nimport a\n```")
    assert '<code class="highlight">import a\n</code>' in render("```klingon\nimport a\n```")
    assert 'data-language="text"' in render('```"><b>\nimport a\n```')


def test_code_keeps_every_character() -> None:
    source = "\n\n\tif a < b and 'c' > \"d\":\n\n    e = '&amp;'  \n\n"
    for language in ("python", "text", "html", "c"):
        assert f"{language}{source}" in Elements(render(f"```{language}\n{source}```")).text


def test_a_very_long_code_block_is_not_highlighted() -> None:
    assert "<span" in render("```py\n" + "x = 1\n" * 100 + "```")
    assert "<span" not in render("```py\n" + "x = 1\n" * 20_000 + "```")
    assert "<span" not in render("```py\n" + "x = 1\n" * 1_000)


@pytest.mark.parametrize("text", ["$x^2$", "$$x^2$$", r"\(x^2\)", r"\[x^2\]", "$$\nx^2\n$$", "> \\[\n> x^2\n> \\]"])
def test_each_notation_of_math_becomes_mathml(text: str) -> None:
    html = render(text)
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html
    assert ('display="inline"' in html) == (text in {"$x^2$", r"\(x^2\)"})


@pytest.mark.parametrize(
    "formula",
    [
        r"\left( a",
        "x^2^2",
        "{" * 1900,
        r"\sqrt{" * 300,
        r"\newcommand{\a}{\a\a}\a",
        r"\def\a{\b\b}\def\b{\a\a}\a",
        r"\newcommand{\R}{x}\R",
        "x" * 1999 + "yz",
    ],
)
def test_a_formula_that_cannot_be_typeset_is_shown_as_its_source(formula: str) -> None:
    html = render(f"$$\n{formula}\n$$")
    assert formula in Elements(html).text
    assert '<code class="math">' in html
    assert "<math" not in html


def test_tasks_and_tables_are_marked_up_for_a_page() -> None:
    html = render("- [ ] a\n- [X] b\n- [y] c\n\n| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert html.count('<input type="checkbox" disabled="">') == 1
    assert html.count('<input type="checkbox" disabled="" checked="">') == 1
    assert "[y] c" in html
    assert '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table>' in html
    assert '<th class="align-center">a</th>' in html


# What it never lets through


@pytest.mark.parametrize("attack", [*HOSTILE, "".join(HOSTILE)])
def test_hostile_text_is_inert(attack: str) -> None:
    assert_inert(render(attack))
    for wrapper in ("> {}", "- {}", "# {}", "*{}*", "[{}](https://a.example)", "| {} |\n|-|\n| {} |", "```html\n{}"):
        assert_inert(render(wrapper.replace("{}", attack)))


def test_the_sanitiser_alone_makes_hostile_html_inert() -> None:
    for attack in [*HOSTILE, "".join(HOSTILE), *(f"<math><mtext>{attack}" for attack in HOSTILE)]:
        assert_inert(sanitize(attack))
    for address in ("/logout", "//evil.example", "javascript:alert(1)", "data:text/html,x", "?q", "#y"):
        assert "href" not in sanitize(f'<a href="{address}" id="x" name="y" class="z">x</a>')
    assert sanitize('<math href="https://x.example"><mi id="x" href="https://x.example">x</mi></math>') == (
        "<math><mi>x</mi></math>"
    )


def test_hostile_text_is_inert_at_every_moment_of_its_streaming() -> None:
    for _, changed, _ in stream(chunks("".join(HOSTILE), random.Random(4), 20)):
        for block in changed:
            assert_inert(block.html)


def test_random_fragments_are_inert_and_never_raise() -> None:
    rng = random.Random(20)
    atoms = [
        *"".join(HOSTILE).split(),
        *"[]()<>!`*_$|\\&\"'{}#-\n\n\n\0\ud800\u2028",
        "](",
        "\n\n",
        "```",
        "$$",
        "&#",
        "\r\n",
    ]
    for _ in range(250):
        assert_inert(
            render("".join(rng.choice([atom, atom + " "]) for atom in rng.choices(atoms, k=rng.randint(1, 60))))
        )


# Blocks and streams


@pytest.mark.parametrize("name", SAMPLES)
def test_blocks_cover_the_text(name: str) -> None:
    text = SAMPLES[name]
    blocks = render_blocks(text)
    assert_contiguous(blocks, len(text))
    assert [block.index for block in blocks] == list(range(len(blocks)))
    assert "".join(block.html for block in blocks) == render(text)


def test_line_ends_do_not_change_the_html() -> None:
    assert render(SAMPLES["an answer with CRLF"]) == render(ANSWER) == render(SAMPLES["an answer with lone CR"])


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("longest", [1, 4, 30, 300])
def test_a_streamed_text_ends_as_it_is_rendered_whole(name: str, longest: int) -> None:
    text = SAMPLES[name]
    rng = random.Random(f"{name} {longest}")
    length = 0
    for piece, (renderer, _, page) in zip(
        chunks(text, rng, longest), stream(chunks(text, random.Random(f"{name} {longest}"), longest)), strict=True
    ):
        length += len(piece)
        assert renderer.text == text[:length]
        assert_contiguous(page.values(), length)
    assert "".join(block.html for block in page.values()) == render(text)


def test_a_short_text_looks_at_every_moment_as_if_rendered_whole() -> None:
    for renderer, _, page in stream(chunks(ANSWER, random.Random(5), 6)):
        assert "".join(block.html for block in page.values()) == render(renderer.text)


def test_samples_strung_together_at_random_stream_as_they_render() -> None:
    rng = random.Random(7)
    lines = [line for text in SAMPLES.values() for line in text.splitlines(keepends=True)]
    for _ in range(50):
        text = "".join(rng.choices(lines, k=12))
        for renderer, _, page in stream(chunks(text, rng, 12)):
            assert_contiguous(page.values(), len(renderer.text))
        assert "".join(block.html for block in page.values()) == render(text)


def test_a_closed_block_is_not_sent_again() -> None:
    renderer = StreamRenderer()
    renderer.feed("one\n\ntwo\n\nthree")
    assert [block.index for block in renderer.feed(" more")] == [2]
    assert renderer.feed("") == []


def test_a_block_that_vanishes_is_told_by_an_empty_range() -> None:
    renderer = StreamRenderer()
    assert [block.index for block in renderer.feed("- a\n*")] == [0, 1]
    first, second = renderer.feed("*b**")
    assert "<strong>b</strong>" in first.html
    assert (second.index, second.start, second.end, second.html) == (1, 9, 9, "")


def test_a_link_definition_that_came_first_is_known_while_streaming() -> None:
    *_, (_, _, page) = stream("[a]: https://x.example\n\nb\n\nc\n\nsee [a]\n\nd")
    assert 'href="https://x.example"' in "".join(block.html for block in page.values())


@pytest.mark.parametrize(
    "text",
    [
        "```py\n" + "x = '1'\n\n" * 1_000 + "```" + AFTERWARDS,
        "| a | b |\n|---|---|\n" + "| *1* | `2` |\n" * 500 + AFTERWARDS,
        "".join(f"{i}. **item**\n\n   text\n   - nested\n" for i in range(300)) + AFTERWARDS,
        "word *and* " * 800 + AFTERWARDS,
    ],
    ids=["code", "table", "list", "paragraph"],
)
def test_a_long_block_streams_in_little_time_and_whole(text: str) -> None:
    started = time.thread_time()
    sent = 0
    for renderer, changed, page in stream(chunks(text, random.Random(1), 100)):
        assert_contiguous(page.values(), len(renderer.text))
        sent += sum(len(block.html) for block in changed)
    assert "".join(block.html for block in page.values()) == render(text)
    assert time.thread_time() - started < 20
    assert sent < 100 * len(render(text))


def test_a_long_answer_in_paragraphs_streams_in_time_that_grows_with_its_length_only() -> None:
    paragraph = "The **quick** brown `fox` jumps over [the](http://x.example) lazy dog, and so on and so forth.\n\n"
    pieces = list(chunks(paragraph * 300, random.Random(2), 60))
    half = len(pieces) // 2
    renderer = StreamRenderer()
    times = [time.thread_time()]
    for part in (pieces[:half], pieces[half:]):
        for piece in part:
            assert len(renderer.feed(piece)) <= 4
        times.append(time.thread_time())
    assert times[2] - times[1] < 3 * (times[1] - times[0])


# Bounds


@pytest.mark.parametrize("unit", ["[", "![", "*", ">", "$a$ ", "$$a\n", "://", "a|b\n-|-\n", "[a][", "a\n\n"])
def test_a_million_hostile_characters_take_bounded_time(unit: str) -> None:
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    started = time.thread_time()
    for size in (1_000_000, 10_000):
        assert_contiguous(render_blocks(text[:size]), size)
    assert time.thread_time() - started < 8


@pytest.mark.parametrize(("language", "unit"), [("cs", "a\n"), ("c", "\n"), ("css", '"\\')])
def test_code_that_chokes_its_highlighter_is_shown_as_it_is(language: str, unit: str) -> None:
    started = time.thread_time()
    html = render(f"```{language}\n{unit * 10_000}\n```")
    assert "<span" not in html
    assert unit * 10_000 in Elements(html).text
    assert time.thread_time() - started < 4


def test_what_exceeds_the_budget_is_shown_unformatted_and_nothing_is_lost() -> None:
    text = "**a**\n\n" * 12_000
    html = render(text)
    assert html.startswith("<p><strong>a</strong></p>")
    assert html.endswith("**a**\n\n</pre>\n")
    assert Elements(html).text.count("a") == 12_000
    for renderer, _, page in stream(chunks(text, random.Random(3), 8_000)):
        assert_contiguous(page.values(), len(renderer.text))
    assert "".join(block.html for block in page.values()).count("**a**") == html.count("**a**")


@pytest.mark.parametrize("opening", ["> ", "- ", "* > ", "1. "])
def test_nesting_too_deep_to_format_is_shown_unformatted(opening: str) -> None:
    assert "<pre" not in render(opening * 5 + "deep")
    html = render("a\n\n" + opening * 3_000 + "deep\n\nb")
    assert "<p>a</p>" in html
    assert "deep" in html


def test_libraries_are_loaded_at_first_use() -> None:
    script = """
import sys
from apps.core.markdown import render
late = {"markdown_it", "pygments", "nh3", "latex2mathml"}
assert not late & set(sys.modules)
render("text")
assert not {"pygments.lexers", "latex2mathml"} & set(sys.modules)
render("$x$ `y`")
assert "latex2mathml" in sys.modules and "pygments.lexers" not in sys.modules
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True)
