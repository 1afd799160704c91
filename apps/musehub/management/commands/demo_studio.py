"""`manage.py demo_studio alice@example.org`: a repo with a year of plausible sessions, to look around in.

The same day and the same `--seed` make the same year. Nothing of it goes anywhere: delete the repo, and it is gone.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.names import fold_email
from apps.musehub import recorder
from apps.musehub.errors import RepoExists
from apps.musehub.models import Activity, RecordingSession, Repo

DAYS = 365
PEOPLE = ("Ada", "Björn", "Chiara", "Dele", "Emiko", "Farid")
PLACES = ("Garage", "Rehearsal room", "Studio A", "Kitchen table")
INTENTS = ("Write the chorus", "Record drums", "Overdub guitars", "Vocals", "Mix the first half", "Jam")
REMARKS = ("Take 2 is the one.", "The snare rattles.", "Slower next time.", "**Keep** the first verse.", "Too loud.")


class Command(BaseCommand):
    """Fills a new repo of somebody's."""

    help = "Opens a repo with a year of plausible recording sessions, as a demonstration."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """For whom, and how much."""
        parser.add_argument("user", help="e-mail address or username of the repo's owner")
        parser.add_argument("--name", default="A year of songs", help="the repo's name")
        parser.add_argument("--public", action="store_true", help="everybody may read it")
        parser.add_argument("--sessions", type=int, default=220, help="how many (220)")
        parser.add_argument("--seed", type=int, default=1, help="another number makes another year (1)")

    @transaction.atomic
    def handle(self, *, user: str, name: str, public: bool, sessions: int, seed: int, **options: Any) -> None:
        """Everything or nothing."""
        owner = _found(user)
        visibility = Repo.Visibility.PUBLIC if public else Repo.Visibility.PRIVATE
        try:
            repo = recorder.open_repo(owner, name=name, visibility=visibility, tags=["demo"])
        except RepoExists as error:
            raise CommandError(f"{owner.username} has a repo of this name already; --name gives another.") from error
        stored = RecordingSession.objects.bulk_create(year(repo, sessions, Random(seed)), batch_size=500)  # noqa: S311
        Activity.objects.bulk_create(_activity(stored), batch_size=500)
        self.stdout.write(f"{len(stored)} sessions are in /studio/{owner.username}/{repo.slug}")


def _found(user: str) -> User:
    found: User | None = User.objects.filter(Q(email=fold_email(user)) | Q(username=user)).first()
    if found is None:
        raise CommandError(f"There is no account {user}.")
    return found


def year(repo: Repo, count: int, chance: Random) -> Iterator[RecordingSession]:
    """So many sessions over the year that ends now, oldest first; where they are over, all before now."""
    now = timezone.now()
    for begun in sorted(_begins(now, count, chance)):
        end = min(begun + timedelta(minutes=int(chance.triangular(15, 300, 90))), now)
        session = RecordingSession.draft(
            repo,
            repo.owner,
            begun,
            ended_at=end,
            participants=chance.sample(PEOPLE, chance.randint(1, 4)),
            intent=chance.choice(INTENTS),
            location=chance.choice(PLACES),
            notes="\n".join(f"- {remark}" for remark in chance.sample(REMARKS, chance.randint(0, 3))),
            commits=[f"{chance.getrandbits(160):040x}" for _ in range(chance.randint(0, 4))],
        )
        session.created_at = begun
        session.last_activity_at = end
        yield session


def _begins(now: datetime, count: int, chance: Random) -> set[datetime]:
    """Different moments, most of them in the evening and at weekends."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begins: set[datetime] = set()
    while len(begins) < count:
        day = midnight - timedelta(days=chance.randrange(DAYS))
        hour = chance.triangular(9, 23, 19)
        if day.weekday() < 5 and chance.random() < 0.5:
            continue
        begun = day + timedelta(seconds=int(hour * 3600), microseconds=chance.randrange(1_000_000))
        if begun < now:
            begins.add(begun)
    return begins


def _activity(sessions: list[RecordingSession]) -> Iterator[Activity]:
    for session in sessions:
        for kind, at in (("session.started", session.started_at), ("session.stopped", session.last_activity_at)):
            yield Activity(
                repo=session.repo,
                session=session,
                actor=session.author,
                actor_name=session.author_name,
                kind=kind,
                at=at,
            )
