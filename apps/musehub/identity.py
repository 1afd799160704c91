"""Content-addressed ids of people, repos and sessions: the same facts have the same id on every installation.

An id is `sha256:` and 64 hexadecimal digits. What it is of is joined by line feeds, none of which can stand within a
field: usernames, slugs, ids and times have none. Ids match whole; a prefix of one is not one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256

ID_LENGTH = 71
DOMAIN = "music"
_ID = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def identity_id(username: str) -> str:
    """Of a person."""
    return _digest(username)


def repo_id(identity: str, slug: str, domain: str, created_at: datetime) -> str:
    """Of a repo: whose it is, what it is called there, and when it was made."""
    return _digest("repo", identity, slug, domain, canonical_time(created_at))


def session_id(repo: str, identity: str, started_at: datetime) -> str:
    """Of a session: where it is kept, who pushed it, and when it began."""
    return _digest("session", repo, identity, canonical_time(started_at))


def canonical_time(moment: datetime) -> str:
    """The one way to write a moment, such as `2025-01-01T08:00:00.000000+00:00`; raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a moment has an offset")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def is_id(text: str) -> bool:
    """Whether this has the form of an id, so that there may be something by it."""
    return _ID.fullmatch(text) is not None


def _digest(*fields: str) -> str:
    return f"sha256:{sha256(chr(10).join(fields).encode()).hexdigest()}"
