"""Times on pages."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

register = template.Library()


@register.simple_tag
def when(at: datetime) -> SafeString:
    """A past time as a `<time>`: relative to read, exact on hover, in the current time zone, and for machines."""
    local, ago = timezone.localtime(at), timesince(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="seconds"),
        f"{local.day} {local:%B %Y, %H:%M %Z}",
        "just now" if ago.startswith("0") else f"{ago} ago",
    )
