"""What must be told when a row is deleted, by whatever door: API, page, admin, or somebody's account."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete
from django.dispatch import receiver

from apps.core.realtime import announce
from apps.musehub.events import access_changed, repo_deleted, session_deleted, studio_group
from apps.musehub.models import Collaborator, RecordingSession, Repo


@receiver(post_delete, sender=Repo)
def tell_that_a_repo_is_gone(instance: Repo, **_: Any) -> None:
    """Sockets on it close."""
    announce(studio_group(instance.pk), repo_deleted(instance.repo_id))


@receiver(post_delete, sender=RecordingSession)
def tell_that_a_session_is_gone(instance: RecordingSession, origin: Any = None, **_: Any) -> None:
    """Pages drop it; where its whole repo goes, that is told once instead."""
    if isinstance(origin, RecordingSession) or getattr(origin, "model", None) is RecordingSession:
        announce(studio_group(instance.repo_id), session_deleted(instance.session_id))


@receiver(post_delete, sender=Collaborator)
def tell_that_access_changed(instance: Collaborator, origin: Any = None, **_: Any) -> None:
    """Sockets look again whether they may stay."""
    if not isinstance(origin, Repo):
        announce(studio_group(instance.repo_id), access_changed(instance.repo.repo_id))
