"""Many at once: threads that each have a connection of their own, all let go at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, TypeVar

import pytest
from django.db import connection
from django.test import Client

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.models import Activity, RecordingSession, Repo
from tests.musehub.conftest import NINE, BrowserOf, path_to, post, sessions_of

pytestmark = pytest.mark.django_db(transaction=True)

CROWD = 50
T = TypeVar("T")


def at_once(calls: Iterable[Callable[[], T]]) -> list[T]:
    """What the calls return, each made on a thread of its own when all of them stand ready."""
    calls = list(calls)
    ready = Barrier(len(calls), timeout=30)

    def run(call: Callable[[], T]) -> T:
        ready.wait()
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


@pytest.fixture
def stage(transactional_db: None, repo: Repo) -> Repo:
    return repo


def test_fifty_starts_without_a_time_at_one_instant_are_fifty_sessions(
    stage: Repo, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NINE)
    started = at_once([lambda: recorder.start(stage, alice)] * CROWD)
    assert all(is_new for _, is_new in started)
    moments = sorted(RecordingSession.objects.values_list("started_at", flat=True))
    assert moments == [NINE + timedelta(microseconds=number) for number in range(CROWD)]
    assert len({session.session_id for session, _ in started}) == CROWD


def test_fifty_pushes_of_one_session_are_one_session(stage: Repo, browser: Client) -> None:
    pushed = at_once([lambda: post(browser, sessions_of(stage), startedAt=NINE.isoformat())] * CROWD)
    assert sorted(each.status_code for each in pushed) == [200] * (CROWD - 1) + [201]
    assert len({each.content for each in pushed}) == 1
    assert RecordingSession.objects.count() == 1
    assert Activity.objects.filter(kind="session.started").count() == 1


def test_fifty_stops_agree_on_one_end(stage: Repo, browser: Client, session: RecordingSession) -> None:
    ends = [(NINE + timedelta(minutes=number)).isoformat() for number in range(CROWD)]

    def stopping(end: str) -> Callable[[], Any]:
        return lambda: post(browser, path_to(session, "stop"), endedAt=end)

    stopped = at_once([stopping(end) for end in ends])
    assert {each.status_code for each in stopped} == {200}
    assert len({each.content for each in stopped}) == 1
    stored = RecordingSession.objects.get()
    assert stored.ended_at is not None
    assert stored.ended_at.isoformat() == stopped[0].json()["endedAt"]
    assert stored.version == 2
    assert Activity.objects.filter(kind="session.stopped").count() == 1


def test_notes_from_two_people_at_once_are_both_kept(
    stage: Repo, session: RecordingSession, browser: Client, carol: User, browser_of: BrowserOf
) -> None:
    browsers = {"alice": browser, "carol": browser_of(carol)}
    texts = [f"{who} says {number}." for who in browsers for number in range(10)]

    def noting(text: str) -> Callable[[], Any]:
        return lambda: post(browsers[text.partition(" ")[0]], path_to(session, "notes"), text=text, clientId=text)

    noted = at_once([noting(text) for text in texts * 2])
    assert {each.status_code for each in noted} == {200}
    session.refresh_from_db()
    assert {text: session.notes.count(text) for text in texts} == dict.fromkeys(texts, 1)
    assert session.version == 1 + len(texts)


def test_of_two_changes_against_one_version_one_is_refused(
    stage: Repo, session: RecordingSession, alice: User, carol: User
) -> None:
    from apps.musehub.errors import VersionMoved

    def editing(who: User) -> Callable[[], str]:
        def edit() -> str:
            try:
                recorder.edit(session, {"notes": who.username}, actor=who, expected_version=1)
            except VersionMoved:
                return "refused"
            return "made"

        return edit

    assert sorted(at_once([editing(alice), editing(carol)])) == ["made", "refused"]


def test_fifty_openings_of_one_repo_are_one_repo(transactional_db: None, alice: User, browser: Client) -> None:
    opened = at_once([lambda: post(browser, "/api/repos", name="Night Songs", visibility="public")] * CROWD)
    assert sorted(each.status_code for each in opened) == [201] + [409] * (CROWD - 1)
    assert Repo.objects.count() == Activity.objects.count() == 1


def test_a_start_in_a_repo_that_goes_meanwhile_is_a_404(stage: Repo, alice: User) -> None:
    from apps.core.errors import NotFound

    Repo.objects.all().delete()
    with pytest.raises(NotFound):
        recorder.start(stage, alice, started_at=datetime(2025, 1, 1, tzinfo=UTC))
    assert not RecordingSession.objects.exists()
