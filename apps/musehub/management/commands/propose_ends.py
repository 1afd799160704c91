"""`manage.py propose_ends`: which running sessions look forgotten, and when they probably ended."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.musehub import recorder
from apps.musehub.models import RecordingSession


class Command(BaseCommand):
    """Proposes, and ends nothing unless it is told to."""

    help = "Lists sessions that run without a sign of life for long, with the end that they probably had."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How long is long, and whether to act."""
        parser.add_argument(
            "--hours", type=float, default=settings.STUDIO_FORGOTTEN_HOURS, help="without a sign of life"
        )
        parser.add_argument("--apply", action="store_true", help="end them so, in the name of each repo's owner")

    def handle(self, *, hours: float, apply: bool, **options: Any) -> None:
        """One line for each, the longest forgotten first."""
        quiet = RecordingSession.objects.quiet_since(timezone.now() - timedelta(hours=hours))
        forgotten = list(quiet.select_related("repo__owner").order_by("last_activity_at", "pk"))
        for session in forgotten:
            if apply:
                recorder.end_at_last_activity(session, actor=session.repo.owner)
            self.stdout.write(_line(session))
        said = "ended" if apply else "proposed; --apply ends them so"
        self.stdout.write(f"{len(forgotten)} {said}." if forgotten else "No session looks forgotten.")


def _line(session: RecordingSession) -> str:
    repo = session.repo
    end = max(session.last_activity_at, session.started_at)
    return (
        f"{repo.owner.username}/{repo.slug} {session.session_id} by {session.author_name}: "
        f"began {session.started_at:%Y-%m-%d %H:%M}, probably ended {end:%Y-%m-%d %H:%M} UTC"
    )
