"""The commands of an operator: finding sessions that were forgotten, and a year to look around in."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.models import Activity, RecordingSession, Repo
from tests.musehub.conftest import NINE, sessions_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def forgotten(repo: Repo, alice: User) -> RecordingSession:
    """A session in which nothing has happened for 13 hours, beside one with a sign of life and one that is over."""
    session, _ = recorder.start(repo, alice, started_at=NINE)
    RecordingSession.objects.filter(pk=session.pk).update(last_activity_at=timezone.now() - timedelta(hours=13))
    recorder.start(repo, alice)
    over, _ = recorder.start(repo, alice, is_over=True)
    RecordingSession.objects.filter(pk=over.pk).update(last_activity_at=NINE)
    session.refresh_from_db()
    return session


def test_ends_are_proposed_and_nothing_is_ended(forgotten: RecordingSession, capsys: Capture) -> None:
    call_command("propose_ends")
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"alice/night-songs {forgotten.session_id} by alice: began 2025-03-01 09:00, ")
    assert f"{forgotten.last_activity_at:%Y-%m-%d %H:%M} UTC" in first
    assert last == "1 proposed; --apply ends them so."
    assert RecordingSession.objects.live().count() == 2


def test_what_is_long_can_be_said(forgotten: RecordingSession, capsys: Capture, settings: Settings) -> None:
    call_command("propose_ends", "--hours", "14")
    assert capsys.readouterr().out == "No session looks forgotten.\n"
    call_command("propose_ends", "--hours", "0")
    assert "2 proposed" in capsys.readouterr().out
    settings.STUDIO_FORGOTTEN_HOURS = 14
    call_command("propose_ends")
    assert capsys.readouterr().out == "No session looks forgotten.\n"


def test_ends_are_applied_when_one_says_so(forgotten: RecordingSession, capsys: Capture) -> None:
    last_sign_of_life = forgotten.last_activity_at
    call_command("propose_ends", "--apply")
    assert capsys.readouterr().out.endswith("1 ended.\n")
    forgotten.refresh_from_db()
    assert (forgotten.is_active, forgotten.ended_at) == (False, last_sign_of_life)
    assert RecordingSession.objects.live().count() == 1
    assert Activity.objects.filter(kind="session.stopped", session=forgotten, actor_name="alice").exists()


def test_a_year_is_made_up_for_whom_it_is_asked(alice: User, browser: Client, capsys: Capture) -> None:
    call_command("demo_studio", "ALICE@example.org")
    assert capsys.readouterr().out == "220 sessions are in /studio/alice/a-year-of-songs\n"
    repo = Repo.objects.get()
    assert (repo.owner, repo.visibility) == (alice, "private")
    now = timezone.now()
    sessions = list(repo.sessions.all())
    assert all(now - timedelta(days=366) < each.started_at < now and each.ended_at <= now for each in sessions)
    assert all(each.participants and not each.times_conflict for each in sessions)
    totals = repo.statistics()
    assert (totals["sessions"], totals["live"], totals["people"]) == (220, 0, 6)
    assert totals["seconds"] > 100 * 3600
    assert totals["commits"] == sum(len(each.commits) for each in sessions)
    hours = repo.hours_by_day(now.date() - timedelta(days=366), now.date())
    assert len(hours) > 100
    assert sum(hours.values()) == pytest.approx(totals["seconds"] / 3600)
    assert browser.get(sessions_of(repo)).json()["total"] == 220
    assert Counter(Activity.objects.values_list("kind", flat=True))["session.started"] == 220


def test_the_same_year_is_not_made_twice_in_one_repo(alice: User) -> None:
    call_command("demo_studio", "alice", "--sessions", "3", "--public")
    with pytest.raises(CommandError, match="already"):
        call_command("demo_studio", "alice", "--sessions", "3")
    call_command("demo_studio", "alice", "--sessions", "3", "--name", "Another", "--seed", "2")
    assert RecordingSession.objects.count() == 6
    assert Repo.objects.public().count() == 1


@pytest.mark.django_db
def test_nobody_gets_no_year() -> None:
    with pytest.raises(CommandError, match=r"no account nobody@example\.org"):
        call_command("demo_studio", "nobody@example.org")
