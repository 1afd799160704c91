"""How sessions are shown on a terminal. Other people's words are in them, so no control character is passed on."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime

from outbox import JSON


def say(sentence: object) -> None:
    """To the person, beside the results."""
    print(f"gantry: {plain(sentence)}", file=sys.stderr)


def plain(text: object) -> str:
    """On one line, and without power over the terminal."""
    return "".join(each if each.isprintable() else " " for each in str(text))


def line(session: JSON) -> str:
    """A session on one line, its id last."""
    began = datetime.fromisoformat(str(session["startedAt"])).astimezone()
    people = session.get("participants")
    who = ", ".join(map(str, people)) if isinstance(people, list) else ""
    words = plain(" · ".join(filter(None, [who, str(session.get("intent") or "")])))
    return f"{began:%Y-%m-%d %H:%M}  {_length(session):>9}  {words[:80]:<40}  {plain(session['sessionId'])}"


def lines(sessions: Iterable[JSON], *, ids_only: bool) -> str:
    """Sessions below one another."""
    return "\n".join(plain(each["sessionId"]) if ids_only else line(each) for each in sessions)


def _length(session: JSON) -> str:
    """`1:05:09`, as the pages say it: hours, also of more than a day."""
    seconds = session.get("durationSeconds")
    if not isinstance(seconds, int | float):
        return "live"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
