"""Icons inside the page, drawn once: the library draws each anew from a tree of XML, wherever a page shows it."""

from __future__ import annotations

from functools import cache

from django import template
from django.utils.safestring import SafeString, mark_safe
from heroicons.templatetags import heroicons

register = template.Library()


@register.simple_tag
@cache
def heroicon_outline(name: str) -> SafeString:
    """The icon's SVG."""
    return mark_safe(heroicons.heroicon_outline(name))  # noqa: S308 -- the library's own drawing
