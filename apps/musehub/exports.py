"""A repo's sessions as files: CSV for spreadsheets, JSON for programs, ICS for calendars.

CSV: a cell that a spreadsheet would run as a formula begins with an apostrophe. ICS is RFC 5545: text escaped, lines
folded at 75 bytes and never within a character, times in UTC. A calendar gets the beginning of long notes and the
address of the page that has all of them; a live session ends "now" each time that its feed is fetched.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from apps.musehub.events import repo_json, session_json
from apps.musehub.models import RecordingSession, Repo

COLUMNS = (
    "sessionId", "author", "startedAt", "endedAt", "durationSeconds", "timesConflict", "isActive", "participants",
    "intent", "location", "commits", "notes", "version", "createdAt",
)  # fmt: skip
NOTES_IN_A_CALENDAR = 2_000
LINE_BYTES = 75
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

Sessions = Iterable[RecordingSession]


def as_json(repo: Repo, sessions: Sessions) -> str:
    """The repo and its sessions as the API shows them."""
    shown = {"repo": repo_json(repo), "sessions": [session_json(session) for session in sessions]}
    return json.dumps(shown, ensure_ascii=False, indent=2)


def as_csv(sessions: Sessions) -> str:
    """A line for each session, after one with the names of the columns; lists are joined by `; `."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for session in sessions:
        wire = dict(session_json(session))
        writer.writerow(_cell(wire[column]) for column in COLUMNS)
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        value = "; ".join(value)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) else text


def as_calendar(repo: Repo, sessions: Sessions, *, now: datetime, address: Callable[[RecordingSession], str]) -> str:
    """A calendar with an event for each session; `address` says where a session's page is."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Nebulus Gantry//Studio//EN",
        "CALSCALE:GREGORIAN",
        f"X-WR-CALNAME:{escaped(repo.name)}",
        "X-PUBLISHED-TTL:PT1H",
    ]
    for session in sessions:
        lines += _event(session, now, address(session))
    return "".join(map(folded, [*lines, "END:VCALENDAR"]))


def _event(session: RecordingSession, now: datetime, page: str) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{session.session_id.removeprefix('sha256:')}@nebulus-gantry"
    yield f"DTSTAMP:{_utc(now)}"
    yield f"LAST-MODIFIED:{_utc(session.last_activity_at)}"
    yield f"SEQUENCE:{session.version}"
    yield f"DTSTART:{_utc(session.started_at)}"
    end = session.ended_at or now
    if _utc(end) > _utc(session.started_at):
        yield f"DTEND:{_utc(end)}"  # absent it is the start, which is all that can be said of an end before it
    yield f"SUMMARY:{escaped(_summary(session))}"
    if session.location:
        yield f"LOCATION:{escaped(session.location)}"
    yield f"DESCRIPTION:{escaped(_description(session, page))}"
    yield f"URL:{page}"
    yield "END:VEVENT"


def _summary(session: RecordingSession) -> str:
    first_line = session.intent.strip().partition("\n")[0] or "Recording session"
    return f"{first_line} (live)" if session.is_active else first_line


def _description(session: RecordingSession, page: str) -> str:
    notes = session.notes.strip()
    if len(notes) > NOTES_IN_A_CALENDAR:
        notes = f"{notes[:NOTES_IN_A_CALENDAR]}…"
    with_whom = f"With {', '.join(session.participants)}" if session.participants else ""
    commits = f"Commits: {', '.join(session.commits[:20])}" if session.commits else ""
    return "\n\n".join(part for part in (with_whom, notes, commits, page) if part)


def escaped(text: str) -> str:
    """TEXT of RFC 5545, 3.3.11; control characters, which it does not allow, are left out."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n"))
    text = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return text.replace("\n", "\\n")


def folded(line: str) -> str:
    """The content line with its end, folded as RFC 5545, 3.1 has it."""
    data = line.encode()
    pieces = []
    room = LINE_BYTES
    while len(data) > room:
        cut = room
        while data[cut] & 0b1100_0000 == 0b1000_0000:  # within a character
            cut -= 1
        pieces.append(data[:cut])
        data = data[cut:]
        room = LINE_BYTES - 1  # the space that marks a folded line counts
    return b"\r\n ".join([*pieces, data]).decode() + "\r\n"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
