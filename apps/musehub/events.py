"""What is published about a repo and its sessions, and its JSON, made here once for API, pages, sockets and exports."""

from __future__ import annotations

from typing import Any, Literal, TypedDict, cast

from apps.musehub.models import Activity, Collaborator, RecordingSession, Repo

SessionEventType = Literal["session.started", "session.stopped", "session.updated", "session.noted"]


class RepoJSON(TypedDict):
    """A repo."""

    repoId: str
    owner: str
    name: str
    slug: str
    visibility: Literal["public", "private"]
    description: str
    tags: list[str]
    createdAt: str
    updatedAt: str


class SessionJSON(TypedDict):
    """A recording session; `durationSeconds` is null while it is live."""

    sessionId: str
    repoId: str
    author: str
    startedAt: str
    endedAt: str | None
    durationSeconds: float | None
    timesConflict: bool
    participants: list[str]
    commits: list[str]
    notes: str
    intent: str
    location: str
    isActive: bool
    version: int
    createdAt: str


class CollaboratorJSON(TypedDict):
    """Somebody who may write."""

    userId: int
    username: str
    displayName: str
    addedAt: str


class ActivityJSON(TypedDict):
    """What somebody did; `sessionId` is null for what concerns the repo."""

    id: int
    kind: str
    actor: str
    at: str
    sessionId: str | None
    detail: dict[str, Any]


class SessionEvent(TypedDict):
    """Something happened in a session; carries it whole."""

    type: SessionEventType
    session: SessionJSON


class SessionDeleted(TypedDict):
    """A session is gone."""

    type: Literal["session.deleted"]
    sessionId: str


class RepoUpdated(TypedDict):
    """A repo changed, perhaps its visibility."""

    type: Literal["repo.updated"]
    repo: RepoJSON


class RepoDeleted(TypedDict):
    """A repo is gone."""

    type: Literal["repo.deleted"]
    repoId: str


class AccessChanged(TypedDict):
    """Somebody may write from now on, or no longer."""

    type: Literal["access.changed"]
    repoId: str


def studio_group(repo_pk: int) -> str:
    """Whoever follows this repo."""
    return f"studio.{repo_pk}"


def repo_json(repo: Repo) -> RepoJSON:
    """The repo as it goes over the wire; its owner is read."""
    return {
        "repoId": repo.repo_id,
        "owner": repo.owner.username,
        "name": repo.name,
        "slug": repo.slug,
        "visibility": cast("Literal['public', 'private']", repo.visibility),
        "description": repo.description,
        "tags": repo.tags,
        "createdAt": repo.created_at.isoformat(),
        "updatedAt": repo.updated_at.isoformat(),
    }


def session_json(session: RecordingSession) -> SessionJSON:
    """The session as it goes over the wire; its repo is read."""
    return {
        "sessionId": session.session_id,
        "repoId": session.repo.repo_id,
        "author": session.author_name,
        "startedAt": session.started_at.isoformat(),
        "endedAt": session.ended_at.isoformat() if session.ended_at else None,
        "durationSeconds": session.duration_seconds,
        "timesConflict": session.times_conflict,
        "participants": session.participants,
        "commits": session.commits,
        "notes": session.notes,
        "intent": session.intent,
        "location": session.location,
        "isActive": session.is_active,
        "version": session.version,
        "createdAt": session.created_at.isoformat(),
    }


def collaborator_json(membership: Collaborator) -> CollaboratorJSON:
    """The collaborator as it goes over the wire; the user is read."""
    return {
        "userId": membership.user_id,
        "username": membership.user.username,
        "displayName": membership.user.display_name,
        "addedAt": membership.added_at.isoformat(),
    }


def activity_json(row: Activity) -> ActivityJSON:
    """What happened, as it goes over the wire; its session is read."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "actor": row.actor_name,
        "at": row.at.isoformat(),
        "sessionId": row.session.session_id if row.session else None,
        "detail": row.detail,
    }


def session_event(kind: SessionEventType, session: RecordingSession) -> SessionEvent:
    """The event that something happened in a session."""
    return {"type": kind, "session": session_json(session)}


def session_deleted(session_id: str) -> SessionDeleted:
    """The event that a session is gone."""
    return {"type": "session.deleted", "sessionId": session_id}


def repo_updated(repo: Repo) -> RepoUpdated:
    """The event that a repo changed."""
    return {"type": "repo.updated", "repo": repo_json(repo)}


def repo_deleted(repo_id: str) -> RepoDeleted:
    """The event that a repo is gone."""
    return {"type": "repo.deleted", "repoId": repo_id}


def access_changed(repo_id: str) -> AccessChanged:
    """The event that somebody's rights in a repo changed."""
    return {"type": "access.changed", "repoId": repo_id}
