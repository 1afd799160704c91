"""Sends what waits in the outbox, in the order in which it was typed.

Sending twice is harmless: a start is known by its time, a note by its id, and a second stop changes nothing. A refusal
concerns one item; when nobody answers, or the token is not taken, the rest waits too.

The server dates a note when it arrives, so one that arrives late says by itself when it was written.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from outbox import JSON, Item, Outbox
from outcomes import NotFound, Rejected, Verdict
from server import Server

_LOOK_BACK = 200
_LATE = timedelta(minutes=1)


def deliver(outbox: Outbox, server: Server, fresh: Item | None) -> None:
    """Send all that waits for this server, of which `fresh` was typed just now; raises Unreachable, NotSignedIn."""
    if not outbox.pending(server.url):
        return
    repos: dict[str, str] = {}
    with outbox.sending():
        for item in outbox.pending(server.url):
            try:
                if item.repo not in repos:
                    repos[item.repo] = server.repo_id(item.repo)
                session = _send(server, repos[item.repo], item, is_late=item != fresh)
            except Verdict as no:
                outbox.set_aside(item, no)
            else:
                outbox.sent(item, session)


def whole_id(server: Server, repo: str, beginning: str) -> str:
    """The one id in owner/slug that begins like this; raises NotFound, or Rejected when there are several."""
    sessions = {str(each["sessionId"]): each for each in server.sessions(server.repo_id(repo))}
    found = [each for key, each in sessions.items() if key.startswith(beginning)]
    return _only(found, f"session of {repo} has an id that begins with {beginning}")


def _send(server: Server, repo: str, item: Item, *, is_late: bool) -> JSON:
    if item.verb == "start":
        return server.start(repo, {**item.fields, "startedAt": item.at})
    session = _which(server, repo, item, is_late=is_late)
    if item.verb == "stop":
        return server.stop(repo, session, item.at)
    return server.note(repo, session, {"text": _dated(item), "clientId": item.id})


def _dated(item: Item) -> str:
    written = datetime.fromisoformat(item.at)
    words = str(item.fields.get("text", ""))
    return f"Written {written:%Y-%m-%d %H:%M} UTC: {words}" if datetime.now(UTC) - written > _LATE else words


def _which(server: Server, repo: str, item: Item, *, is_late: bool) -> str:
    """The id of the one session that is meant; raises NotFound, or Rejected when there are several."""
    if item.session is not None and item.session.startswith("sha256:"):
        return item.session
    if item.session is not None:
        found = list(server.started_at(repo, datetime.fromisoformat(item.session)))
        which = f"began at {item.session}"
    elif is_late:
        found = _live_then(server, repo, datetime.fromisoformat(item.at))
        which = f"was live at {item.at}"
    else:
        found = list(server.sessions(repo, live="true"))
        which = "is live"
    return _only(found, f"session of {item.repo} {which}")


def _only(found: list[JSON], what: str) -> str:
    if not found:
        raise NotFound(f"No {what}.")
    if len(found) > 1:
        raise Rejected(f"More than one {what}, {_names(found)}: say which, with --session.")
    return str(found[0]["sessionId"])


def _live_then(server: Server, repo: str, moment: datetime) -> list[JSON]:
    """Those that were live at a moment that is past: of those that still are, or else of those that ended since."""
    until = moment.isoformat()
    ended = islice(server.sessions(repo, live="false", until=until), _LOOK_BACK)
    live = list(server.sessions(repo, live="true", until=until))
    return live or [each for each in ended if server.time(each, "endedAt") >= moment]


def _names(sessions: list[JSON]) -> str:
    return " or ".join(f"{each['sessionId']} (since {each['startedAt']})" for each in sessions)
