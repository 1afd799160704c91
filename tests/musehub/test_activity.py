"""What is done in a repo is written down in the same transaction, and told to whoever follows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client

from apps.accounts.models import User
from apps.core.database import in_database
from apps.core.realtime import subscribe
from apps.musehub import recorder
from apps.musehub.events import session_json, studio_group
from apps.musehub.models import Activity, RecordingSession, Repo
from tests.conversations.conftest import until
from tests.musehub.conftest import NINE, BrowserOf, patch, path_of, path_to, post, sessions_of


def told(client: Client, repo: Repo) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = client.get(path_of(repo, "activity")).json()["events"]
    return events


def test_everything_that_is_done_is_written_down_with_whose_it_was(
    repo: Repo, browser: Client, carol: User, browser_of: BrowserOf
) -> None:
    guest = browser_of(carol)
    made = post(guest, sessions_of(repo), intent="Secret plan").json()
    path = f"{sessions_of(repo)}/{made['sessionId']}"
    patch(browser, path, {"intent": "Plan", "commits": ["a"]})
    post(guest, f"{path}/notes", text="Louder")
    post(browser, f"{path}/stop")
    patch(browser, path_of(repo), {"description": "Loud"})
    browser.delete(path_of(repo, "collaborators", str(carol.pk)))

    events = told(browser, repo)
    assert [(each["kind"], each["actor"], each["detail"]) for each in reversed(events)] == [
        ("repo.created", "alice", {}),
        ("collaborator.added", "alice", {"user": "carol"}),
        ("session.started", "carol", {}),
        ("session.updated", "alice", {"fields": ["commits", "intent"]}),
        ("session.noted", "carol", {}),
        ("session.stopped", "alice", {}),
        ("repo.updated", "alice", {"fields": ["description"]}),
        ("collaborator.removed", "alice", {"user": "carol"}),
    ]
    assert {each["sessionId"] for each in events if each["kind"].startswith("session.")} == {made["sessionId"]}
    assert [each["at"] for each in events] == sorted((each["at"] for each in events), reverse=True)
    assert "Secret" not in str(list(Activity.objects.values()))


def test_what_changed_nothing_is_not_written_down(session: RecordingSession, browser: Client) -> None:
    post(browser, path_to(session, "stop"))
    before = told(browser, session.repo)
    post(browser, path_to(session, "stop"))
    post(browser, sessions_of(session.repo), startedAt=NINE.isoformat())
    patch(browser, path_to(session), {"notes": ""})
    patch(browser, path_of(session.repo), {"visibility": "public"})
    assert told(browser, session.repo) == before


def test_what_cannot_be_written_down_is_not_done(
    session: RecordingSession, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(Activity, "save", refuse)
    for verb in (
        lambda: recorder.stop(session, actor=alice),
        lambda: recorder.edit(session, {"notes": "Lost"}, actor=alice),
        lambda: recorder.append_note(session, "Lost", actor=alice),
        lambda: recorder.start(session.repo, alice, started_at=NINE + timedelta(1)),
    ):
        with pytest.raises(DatabaseError, match="full"):
            verb()
    assert RecordingSession.objects.get().version == 1


def test_activity_comes_in_pages(repo: Repo, alice: User, client: Client) -> None:
    for day in range(5):
        recorder.start(repo, alice, started_at=NINE + timedelta(days=day))
    seen: list[int] = []
    cursor = ""
    while cursor is not None:
        page = client.get(f"{path_of(repo, 'activity')}?limit=3&cursor={cursor}").json()
        seen += [each["id"] for each in page["events"]]
        cursor = page["nextCursor"]
    assert seen == list(Activity.objects.order_by("-pk").values_list("pk", flat=True))
    assert client.get(f"{path_of(repo, 'activity')}?cursor=x").status_code == 422


@pytest.mark.django_db(transaction=True)
async def test_whoever_follows_a_repo_is_told_of_everything(
    transactional_db: None, alice: User, bob: User, repo: Repo
) -> None:
    async with subscribe(studio_group(repo.pk)) as events:
        session, _ = await in_database(recorder.start, repo, alice)
        assert (await until(events, "session.started"))["session"] == session_json(session)
        session = await in_database(recorder.append_note, session, "Louder", actor=alice)
        assert (await until(events, "session.noted"))["session"] == session_json(session)
        session = await in_database(recorder.edit, session, {"intent": "mix"}, actor=alice)
        assert (await until(events, "session.updated"))["session"]["intent"] == "mix"
        session = await in_database(recorder.stop, session, actor=alice)
        assert (await until(events, "session.stopped"))["session"]["isActive"] is False
        await in_database(recorder.let_in, repo, bob, actor=alice)
        assert (await until(events, "access.changed"))["repoId"] == repo.repo_id
        await in_database(recorder.keep_out, repo, bob, actor=alice)
        assert (await until(events, "access.changed"))["repoId"] == repo.repo_id
        await in_database(recorder.change_repo, repo, {"visibility": "private"}, actor=alice)
        assert (await until(events, "repo.updated"))["repo"]["visibility"] == "private"
        sid = session.session_id
        await in_database(session.delete)
        assert (await until(events, "session.deleted"))["sessionId"] == sid
        await in_database(alice.delete)
        assert (await until(events, "repo.deleted"))["repoId"] == repo.repo_id
