"""Following a repo over its socket: one hears what others do, for as long as one may read it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from django.test import AsyncClient

from apps.accounts.models import User
from apps.core.database import in_database
from apps.musehub import recorder
from apps.musehub.events import session_json
from apps.musehub.models import RecordingSession, Repo
from tests.conversations.test_sockets import Socket, browser_headers

pytestmark = pytest.mark.django_db(transaction=True)

AsyncBrowserOf = Callable[[User], AsyncClient]


@pytest.fixture
def carols_browser(carol: User, async_browser_of: AsyncBrowserOf) -> AsyncClient:
    return async_browser_of(carol)


@pytest.fixture
def strangers_browser(bob: User, async_browser_of: AsyncBrowserOf) -> AsyncClient:
    return async_browser_of(bob)


@asynccontextmanager
async def following(repo: Repo, browser: AsyncClient) -> AsyncIterator[Socket]:
    """A socket that has had its snapshot."""
    socket = Socket(f"/ws/studio/{repo.repo_id}/", browser_headers(browser))
    assert await socket.open()
    assert (await socket.next())["type"] == "studio.snapshot"
    yield socket
    await socket.close()


async def test_another_persons_start_note_commit_and_stop_are_heard(
    repo: Repo, alice: User, strangers_browser: AsyncClient
) -> None:
    async with following(repo, strangers_browser) as socket:
        session, _ = await in_database(recorder.start, repo, alice)
        assert await socket.next() == {"type": "session.started", "session": session_json(session)}
        session = await in_database(recorder.append_note, session, "Take 2", actor=alice)
        assert await socket.next() == {"type": "session.noted", "session": session_json(session)}
        session = await in_database(recorder.edit, session, {"commits": ["c0ffee"]}, actor=alice)
        assert await socket.next() == {"type": "session.updated", "session": session_json(session)}
        session = await in_database(recorder.stop, session, actor=alice)
        assert await socket.next() == {"type": "session.stopped", "session": session_json(session)}


async def test_the_snapshot_names_the_newest_thing_that_happened(
    session: RecordingSession, carols_browser: AsyncClient
) -> None:
    newest = await in_database(session.repo.activity.newest_first().first)
    assert newest is not None
    socket = Socket(f"/ws/studio/{session.repo.repo_id}/", browser_headers(carols_browser))
    assert await socket.open()
    snapshot = await socket.next()
    assert snapshot["lastActivity"] == newest.pk
    assert snapshot["repo"]["repoId"] == session.repo.repo_id
    await socket.close()


async def test_what_happens_in_another_repo_is_not_heard(
    repo: Repo, private_repo: Repo, alice: User, strangers_browser: AsyncClient
) -> None:
    async with following(repo, strangers_browser) as socket:
        await in_database(recorder.start, private_repo, alice, intent="Canary")
        await socket.send(type="ping")
        assert await socket.next() == {"type": "pong"}


async def test_who_may_read_no_longer_is_sent_away_and_hears_nothing_more(
    private_repo: Repo, alice: User, carol: User, carols_browser: AsyncClient
) -> None:
    async with following(private_repo, carols_browser) as socket:
        await in_database(recorder.keep_out, private_repo, carol, actor=alice)
        await in_database(recorder.start, private_repo, alice, intent="Canary")
        assert await socket.code() == 4404


async def test_a_stranger_is_sent_away_when_the_repo_becomes_private_and_a_collaborator_stays(
    repo: Repo, alice: User, strangers_browser: AsyncClient, carols_browser: AsyncClient
) -> None:
    async with following(repo, strangers_browser) as strangers, following(repo, carols_browser) as carols:
        await in_database(recorder.change_repo, repo, {"visibility": "private"}, actor=alice)
        assert await strangers.code() == 4404
        assert (await carols.next())["type"] == "repo.updated"
        await in_database(recorder.start, repo, alice)
        assert (await carols.next())["type"] == "session.started"


async def test_everybody_is_sent_away_when_the_repo_is_deleted(repo: Repo, carols_browser: AsyncClient) -> None:
    async with following(repo, carols_browser) as socket:
        await in_database(recorder.close_repo, repo)
        assert await socket.code() == 4404


@pytest.mark.parametrize("wrong", ["x", "sha256:", "sha256:" + "0" * 64])
async def test_a_repo_that_is_not_there_is_4404(wrong: str, carols_browser: AsyncClient) -> None:
    socket = Socket(f"/ws/studio/{wrong}/", browser_headers(carols_browser))
    assert await socket.open()
    assert await socket.code() == 4404
    await socket.close()
