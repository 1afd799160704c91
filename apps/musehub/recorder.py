"""What people do in a studio. Each verb is one transaction: it stores what was done and that it was done, then tells
whoever follows the repo.

Who may is asked before, at the door. Every verb reads the row it changes again, locked, so that of two people who write
at once neither overwrites the other unseen; it raises `NotFound` where the row is gone meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import InvalidInput, NotFound
from apps.core.realtime import announce
from apps.musehub.errors import NotesFull, RepoExists, SessionIsLive, VersionMoved
from apps.musehub.events import SessionEventType, access_changed, repo_updated, session_event, studio_group
from apps.musehub.models import NOTES_LENGTH, Activity, Collaborator, RecordingSession, Repo, with_note

TICK = timedelta(microseconds=1)
Kind = Activity.Kind


# --- Repos


def open_repo(owner: User, *, name: str, **fields: Any) -> Repo:
    """A new repo; raises `RepoExists`."""
    repo = Repo.draft(owner, name=name, **fields)
    try:
        with transaction.atomic():
            repo.save(force_insert=True)
            _write_down(repo, owner, Kind.REPO_CREATED)
    except IntegrityError:
        if not Repo.objects.filter(owner=owner, slug=repo.slug).exists():
            raise
        raise RepoExists from None
    return repo


@transaction.atomic
def change_repo(repo: Repo, fields: Mapping[str, object], *, actor: User) -> Repo:
    """Set some of name, visibility, description and tags."""
    current = _locked_repo(repo)
    changed = {name: value for name, value in fields.items() if getattr(current, name) != value}
    if changed:
        current.change(changed)
        _write_down(current, actor, Kind.REPO_UPDATED, fields=sorted(changed))
        announce(studio_group(current.pk), repo_updated(current))
    return current


@transaction.atomic
def close_repo(repo: Repo) -> None:
    """Delete it with everything in it."""
    _locked_repo(repo).delete()


@transaction.atomic
def let_in(repo: Repo, user: User, *, actor: User) -> Collaborator:
    """Let somebody write here; they may already. Raises `InvalidInput` for the owner."""
    current = _locked_repo(repo)
    if user.pk == current.owner_id:
        raise InvalidInput("The owner of a repo may write there already.")
    membership, is_new = Collaborator.objects.get_or_create(repo=current, user=user)
    if is_new:
        _write_down(current, actor, Kind.COLLABORATOR_ADDED, user=user.username)
        announce(studio_group(current.pk), access_changed(current.repo_id))
    return membership


@transaction.atomic
def keep_out(repo: Repo, user: User, *, actor: User) -> None:
    """Let somebody write here no longer; raises `NotFound` where they could not."""
    current = _locked_repo(repo)
    removed, _ = current.memberships.filter(user=user).delete()
    if not removed:
        raise NotFound
    _write_down(current, actor, Kind.COLLABORATOR_REMOVED, user=user.username)


# --- Sessions


def start(
    repo: Repo,
    author: User,
    *,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    is_over: bool = False,
    **fields: Any,
) -> tuple[RecordingSession, bool]:
    """A new session, and whether it is new: the same author's same start finds the one there is, which stays as it is.

    It is live unless it has an end or `is_over`, which then is at its start. Without a start it begins now, or as many
    microseconds later as it takes to have that start for itself.
    """
    session = RecordingSession.draft(repo, author, started_at or timezone.now(), **fields)
    with transaction.atomic():
        _locked_repo(repo)
        stored = _twin(session)
        if stored is not None and started_at is not None:
            return stored, False
        while stored is not None:
            session.begin_at(session.started_at + TICK)
            stored = _twin(session)
        if is_over or ended_at is not None:
            session.end_at(ended_at or session.started_at)
        session.save(force_insert=True)
        _write_down(repo, author, Kind.SESSION_STARTED, session)
        _tell("session.started", session)
    return session, True


@transaction.atomic
def stop(session: RecordingSession, ended_at: datetime | None = None, *, actor: User) -> RecordingSession:
    """End it, now unless told when. One that is over stays as it is."""
    current = _locked_session(session)
    # Told, an end may lie before the start; ours does not, even if whoever started it was ahead of our clock.
    if current.stop(ended_at or max(timezone.now(), current.started_at)):
        _write_down(current.repo, actor, Kind.SESSION_STOPPED, current)
        _tell("session.stopped", current)
    return current


def end_at_last_activity(session: RecordingSession, *, actor: User) -> RecordingSession:
    """End one that was forgotten, as of when something last happened in it."""
    return stop(session, ended_at=max(session.last_activity_at, session.started_at), actor=actor)


@transaction.atomic
def edit(
    session: RecordingSession, fields: Mapping[str, Any], *, actor: User, expected_version: int | None = None
) -> RecordingSession:
    """Set some of notes, commits, participants, intent, location, and ended_at of one that is over.

    Raises `VersionMoved` where a version is expected and the session has another, `SessionIsLive`.
    """
    current = _locked_session(session)
    if expected_version is not None and current.version != expected_version:
        raise VersionMoved
    if "ended_at" in fields and current.is_active:
        raise SessionIsLive
    if changed := current.change(fields):
        _write_down(current.repo, actor, Kind.SESSION_UPDATED, current, fields=sorted(changed))
        _tell("session.updated", current)
    return current


@transaction.atomic
def append_note(session: RecordingSession, text: str, client_id: str | None = None, *, actor: User) -> RecordingSession:
    """Add a dated note below the others, once for each of the actor's `client_id`s; raises `NotesFull`."""
    current = _locked_session(session)
    if client_id and current.activity.filter(actor=actor, client_id=client_id).exists():
        return current
    now = timezone.now()
    if len(with_note(current.notes, text, by=actor.username, at=now)) > NOTES_LENGTH:
        raise NotesFull
    current.append_note(text, by=actor.username, at=now)
    _write_down(current.repo, actor, Kind.SESSION_NOTED, current, client_id=client_id or None)
    _tell("session.noted", current)
    return current


# --- What they share


def _locked_repo(repo: Repo) -> Repo:
    current = Repo.objects.locked(repo)
    if current is None:
        raise NotFound
    return current


def _locked_session(session: RecordingSession) -> RecordingSession:
    current = RecordingSession.objects.locked(session)
    if current is None:
        raise NotFound
    return current


def _twin(session: RecordingSession) -> RecordingSession | None:
    """The stored one of the same id."""
    return RecordingSession.objects.in_repo(session.repo, session.session_id)


def _write_down(
    repo: Repo,
    actor: User,
    kind: Activity.Kind,
    session: RecordingSession | None = None,
    client_id: str | None = None,
    **detail: object,
) -> None:
    Activity.objects.create(
        repo=repo,
        session=session,
        actor=actor,
        actor_name=actor.username,
        kind=kind,
        client_id=client_id,
        detail=detail,
    )


def _tell(kind: SessionEventType, session: RecordingSession) -> None:
    announce(studio_group(session.repo_id), session_event(kind, session))
