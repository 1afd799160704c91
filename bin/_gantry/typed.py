"""What may be typed after `bin/gantry session`, and what the pieces of it mean.

A time without an offset is the local one, since a person types it; an option that makes no sense ends the call with
exit status 2 and the usage.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from credentials import clean_url
from outcomes import Misused

_EPILOG = """\
exit status: 0 done · 1 something on this machine is in the way · 2 typed wrongly · 3 not signed in, or not allowed
             4 no such repo or session · 5 not sent yet, and kept for the next call · 6 refused · 7 not reached
"""
_ID_LENGTH = len("sha256:") + 64
_ID = re.compile(r"(sha256:)?([0-9a-f]{7,64})", re.IGNORECASE)
_REPO = re.compile(r"[^\s/]+/[^\s/]+")
_T = TypeVar("_T")


def parser() -> argparse.ArgumentParser:
    """Of the whole command; the verb is in `verb`."""
    whole = argparse.ArgumentParser(
        prog="bin/gantry session",
        description="Start, stop, annotate and list recording sessions.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = whole.add_subparsers(dest="verb", metavar="VERB", required=True)
    shared = [_shared()]
    _login(verbs.add_parser("login", help="store an address, and a token read from standard input"))
    _start(verbs.add_parser("start", parents=shared, help="a session begins"))
    _stop(verbs.add_parser("stop", parents=shared, help="the live session ends"))
    _note(verbs.add_parser("note", parents=shared, help="add a note to the live session"))
    _list(verbs.add_parser("list", parents=shared, help="sessions, live ones first, then newest first"))
    verbs.add_parser("sync", help="send what is kept, as every other call does first")
    return whole


def repo(value: str) -> str:
    """owner/slug; raises Misused."""
    if not _REPO.fullmatch(value):
        raise Misused(f"{value!r} is no repo: one is named owner/slug.")
    return value


def canonical(moment: datetime) -> str:
    """In UTC, to the microsecond, as the API writes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def is_abbreviated(session: str) -> bool:
    """Whether it is the beginning of an id, and not a whole one or a time."""
    return session.startswith("sha256:") and len(session) < _ID_LENGTH


def _moment(value: str) -> str:
    try:
        return canonical(datetime.fromisoformat(value))
    except (ValueError, OverflowError) as fault:
        raise Misused(f"{value!r} is no time; one looks like 2026-01-31T21:30 or 2026-01-31T21:30:00+01:00.") from fault


def _session(value: str) -> str:
    """With `sha256:`, an id or its beginning; else a time. What can be read as both, such as 20260131, is a time."""
    an_id = _ID.fullmatch(value)
    if an_id and an_id[1]:
        return value.lower()
    try:
        return _moment(value)
    except Misused as fault:
        if an_id:
            return f"sha256:{value.lower()}"
        raise Misused(f"{value!r} is no session: name its id, 7 characters or more of it, or its start.") from fault


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise Misused(f"{value!r} is no number from 1 on.")
    return int(value)


def _told(read: Callable[[str], _T]) -> Callable[[str], _T]:
    """Let argparse tell it, with the name of the option."""

    def reading(value: str) -> _T:
        try:
            return read(value)
        except Misused as fault:
            raise argparse.ArgumentTypeError(str(fault)) from fault

    return reading


def _shared() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--repo", type=_told(repo), metavar="OWNER/SLUG", help="else GANTRY_REPO, else the one of login"
    )
    form = shared.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print what the API says")
    form.add_argument("--quiet", action="store_true", help="print ids alone")
    return shared


def _login(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--url", type=_told(clean_url), help="https://gantry.example.org")
    verb.add_argument("--token-file", type=Path, metavar="FILE", help="read the token from here")
    verb.add_argument(
        "--repo", type=_told(repo), metavar="OWNER/SLUG", help="the repo that is meant when none is named"
    )


def _start(verb: argparse.ArgumentParser) -> None:
    _add_time(verb)
    verb.add_argument("--participant", action="append", metavar="NAME", help="who takes part; may be repeated")
    for name in ("intent", "location", "notes"):
        verb.add_argument(f"--{name}", metavar="TEXT")


def _stop(verb: argparse.ArgumentParser) -> None:
    _add_time(verb)
    _add_session(verb)


def _note(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("text", help="the note; - reads it from standard input")
    _add_session(verb)


def _list(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--live", action="store_true", help="only those that are going on")
    verb.add_argument("--limit", type=_told(_count), default=20, metavar="N", help="how many at most (20)")


def _add_time(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--at", type=_told(_moment), metavar="TIME", help="when, if not now; without an offset, local time"
    )


def _add_session(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--session", type=_told(_session), metavar="WHICH", help="its id, 7 characters of that, or its start"
    )
