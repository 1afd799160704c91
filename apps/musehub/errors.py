"""What MuseHub refuses.

GantryError
 ├─ InvalidInput    422
 │   └─ NotesFull
 ├─ Conflict        409
 │   ├─ RepoExists
 │   └─ SessionIsLive
 ├─ MayNotWrite     403
 └─ VersionMoved    412
"""

from __future__ import annotations

from apps.core.errors import Conflict, GantryError, InvalidInput


class NotesFull(InvalidInput):
    """With this note, the session's notes would be longer than they may be."""

    detail = "These notes are full. Start another session, or shorten them."

    def __init__(self) -> None:
        super().__init__(errors={"text": [self.detail]})


class RepoExists(Conflict):
    """Its owner has a repo of this slug already."""

    code = "repo_exists"
    detail = "You have a repo of this name already."


class SessionIsLive(Conflict):
    """It has no end that could be mended."""

    code = "session_is_live"
    detail = "This session is still running. Stop it first."


class MayNotWrite(GantryError):
    """The repo can be read by this person, and not written."""

    code = "may_not_write"
    status = 403
    detail = "Only the owner of this repo, and whom they let, may do that."


class VersionMoved(GantryError):
    """Somebody changed the session since the version that the change was made against."""

    code = "version_moved"
    status = 412
    detail = "Somebody changed this session meanwhile. Read it again, then change it."
