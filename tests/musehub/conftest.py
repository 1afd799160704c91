"""The studio's cast: alice owns two repos, carol collaborates on both, bob is a stranger, root the operator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.models import RecordingSession, Repo
from tests.conftest import PASSWORD

JSON = "application/json"
NINE = datetime(2025, 3, 1, 9, tzinfo=UTC)

BrowserOf = Callable[[User], Client]


@pytest.fixture
def carol(db: None) -> User:
    return User.objects.create_user(email="carol@example.org", password=PASSWORD, display_name="Carol")


@pytest.fixture
def repo(alice: User, carol: User) -> Repo:
    """A public one."""
    opened = recorder.open_repo(alice, name="Night Songs", visibility="public")
    recorder.let_in(opened, carol, actor=alice)
    return opened


@pytest.fixture
def private_repo(alice: User, carol: User) -> Repo:
    opened = recorder.open_repo(alice, name="Sketches", visibility="private")
    recorder.let_in(opened, carol, actor=alice)
    return opened


@pytest.fixture
def session(repo: Repo, alice: User) -> RecordingSession:
    """A live one."""
    return recorder.start(repo, alice, started_at=NINE)[0]


@pytest.fixture
def browser(alice: User, browser_of: BrowserOf) -> Client:
    """Alice's."""
    return browser_of(alice)


def path_of(repo: Repo, *parts: str) -> str:
    """A route below a repo's."""
    return "/".join((f"/api/repos/{repo.repo_id}", *parts))


def sessions_of(repo: Repo) -> str:
    return path_of(repo, "sessions")


def path_to(session: RecordingSession, *parts: str) -> str:
    """A route of a session."""
    return path_of(session.repo, "sessions", session.session_id, *parts)


def send(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """A request with a body of JSON."""
    return client.generic(method, path, b"" if body is None else dumps(body), JSON, headers=headers)


def dumps(body: Any) -> bytes:
    import json

    return json.dumps(body).encode()


def post(client: Client, path: str, **body: Any) -> Any:
    return send(client, "POST", path, body)


def patch(client: Client, path: str, body: Any, **headers: str) -> Any:
    return send(client, "PATCH", path, body, **headers)
