"""What the apps' pages read from a request alike: the reader's time zone, and ids written as text."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import Http404, HttpRequest

LARGEST_ID = 2**63 - 1


def reader_time_zone(request: HttpRequest) -> ZoneInfo:
    """The reader's, which the page's script left in a cookie; else UTC."""
    name = request.COOKIES.get("timezone", "")
    return ZoneInfo(name if name in _known_time_zones() else "UTC")


@cache
def _known_time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def as_id(text: str) -> int:
    """The id that was written as text; anything else finds nothing: raises Http404."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST_ID):
        raise Http404
    return int(text)
