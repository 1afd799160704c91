"""How a session is put on a page: its notes, its times in the reader's zone, its duration."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.template.defaultfilters import pluralize
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from apps.core.markdown import render
from apps.musehub.models import Activity, RecordingSession

register = template.Library()


@register.filter
def markdown(text: str) -> SafeString:
    """The text as HTML; `render` promises that it is safe."""
    return mark_safe(render(text))  # noqa: S308


@register.filter
def duration(seconds: float | None) -> str:
    """`1:05:09`: hours, minutes, seconds."""
    minutes, rest = divmod(int(seconds or 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@register.filter
def studio_hours(seconds: float) -> str:
    """`0.5 h`, `42.3 h`, `1,204 h`."""
    hours = seconds / 3600
    return f"{hours:,.0f} h" if hours >= 100 else f"{hours:.1f} h"


@register.filter
def particulars(session: RecordingSession) -> str:
    """Who kept it, where, with whom, how many commits, in one line."""
    commits = session.commit_count
    parts = (
        session.author_name,
        Truncator(session.location).chars(60),
        f"with {_names(session.participants)}" if session.participants else "",
        f"{commits} commit{pluralize(commits)}" if commits else "",
        "its end is before its start" if session.times_conflict else "",
    )
    return " · ".join(part for part in parts if part)


def _names(people: list[str]) -> str:
    return ", ".join(people[:5]) + (" and more" if len(people) > 5 else "")


@register.filter
def hash_of(identifier: str) -> str:
    """The beginning of a content-addressed id, for people to recognise."""
    return identifier.removeprefix("sha256:")[:10]


@register.filter
def what(event: Activity) -> str:
    """What was done, as a sentence says it after who did it and before the session's name."""
    if event.kind in (Activity.Kind.COLLABORATOR_ADDED, Activity.Kind.COLLABORATOR_REMOVED):
        return f"{_DONE[event.kind]} {event.detail['user']}"
    if event.kind in (Activity.Kind.REPO_UPDATED, Activity.Kind.SESSION_UPDATED):
        fields = " and ".join(_FIELDS.get(name, name) for name in event.detail["fields"])
        return f"changed the {fields} of"
    return _DONE[event.kind]


_DONE: dict[str, str] = {
    Activity.Kind.REPO_CREATED: "made",
    Activity.Kind.COLLABORATOR_ADDED: "let in",
    Activity.Kind.COLLABORATOR_REMOVED: "no longer lets in",
    Activity.Kind.SESSION_STARTED: "started",
    Activity.Kind.SESSION_STOPPED: "stopped",
    Activity.Kind.SESSION_NOTED: "added a note to",
}
_FIELDS = {"ended_at": "end", "participants": "people", "location": "place"}


@register.simple_tag
def at(moment: datetime) -> SafeString:
    """A moment in the reader's zone, to the minute; exact on hover and for machines."""
    local = timezone.localtime(moment)
    shown = f"{_day(local)}, {local:%H:%M}"
    return format_html(
        '<data value="{}" title="{}">{}</data>', moment.isoformat(), f"{local:%d %b %Y, %H:%M:%S %Z}", shown
    )


def _day(local: datetime) -> str:
    today = timezone.localdate()
    days = (today - local.date()).days
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year}"


@register.simple_tag
def clock(session: RecordingSession) -> SafeString:
    """How long a session took; of a live one, a clock that the page keeps running."""
    if session.is_active:
        elapsed = max(0, int((timezone.now() - session.started_at).total_seconds()))
        return format_html('<studio-clock data-elapsed="{}">{}</studio-clock>', elapsed, duration(elapsed))
    return format_html('<span class="clock">{}</span>', duration(session.duration_seconds))
