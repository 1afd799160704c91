"""The last gate: of any HTML, only the elements, attributes and classes that our own renderer writes come through.

No id and no name, which could shadow what the page's scripts look up; no `style`; no attribute that loads or links
except an absolute `href`, and that on `a` alone, so the MathML elements cannot carry one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nh3 import Cleaner

_TEXT = (
    "a blockquote br code del em div figcaption figure h3 h4 h5 h6 hr input li ol p pre s span strong "
    "table tbody td th thead tr ul"
)
_MATH = (
    "menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace msqrt mstyle "
    "msub msubsup msup mtable mtd mtext mtr munder munderover none"
)
_MATH_ATTRIBUTES = (
    "accent accentunder columnalign columnlines columnspacing depth displaystyle fence form height largeop "
    "linethickness mathsize mathvariant maxsize minsize movablelimits notation rowlines rowspacing scriptlevel "
    "separator stretchy symmetric width"
)
_ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),  # or the library lets `title` and `lang` through
    "a": {"href"},
    "figure": {"data-language"},
    "div": {"tabindex", "role", "aria-label"},
    "input": {"type", "disabled", "checked"},
    "ol": {"start"},
    **{tag: set(_MATH_ATTRIBUTES.split()) for tag in _MATH.split()},
}


def sanitize(html: str) -> str:
    """The HTML reduced to what is safe; elements come out balanced, so fragments may be joined."""
    return _cleaner().clean(html)


@cache
def _cleaner() -> Cleaner:
    from nh3 import Cleaner
    from pygments.token import STANDARD_TYPES

    align = {"align-left", "align-center", "align-right"}
    return Cleaner(
        tags={"math", *_TEXT.split(), *_MATH.split()},
        clean_content_tags={"script", "style"},
        attributes=_ATTRIBUTES,
        tag_attribute_values={"math": {"display": {"inline", "block"}}},
        allowed_classes={
            "code": {"highlight", "math"},
            "div": {"math-block", "table-scroll"},
            "figure": {"code"},
            "li": {"task"},
            "pre": {"plain"},
            "span": set(STANDARD_TYPES.values()) - {""},
            "td": align,
            "th": align,
        },
        set_tag_attribute_values={"a": {"target": "_blank"}, "input": {"type": "checkbox", "disabled": ""}},
        link_rel="noopener noreferrer nofollow",
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
    )
