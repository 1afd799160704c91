"""What surrounds a request: its id, its one log line, whose address it is, and how much it may send."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from django.test import Client

from apps.accounts.models import ApiToken, User
from apps.conversations.models import Conversation
from apps.core.database import in_database
from apps.core.requests import LineFormatter, RequestIdFilter, client_address
from gantry.routing import application

CONVERSATIONS = "/api/chat/conversations"


@pytest.fixture
async def program(alice: User) -> AsyncIterator[httpx.AsyncClient]:
    """Alice's program, at the whole ASGI application."""
    _, token = await in_database(ApiToken.objects.issue, alice, "script")
    transport = httpx.ASGITransport(application)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


# --- The log


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    formatter, with_id = LineFormatter(), RequestIdFilter()
    return [formatter.format(record) for record in caplog.records if with_id.filter(record)]


@pytest.mark.django_db
def test_a_request_is_one_line_that_tells_nothing_anybody_wrote(caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    client.cookies["session_token"] = "canary-cookie"
    headers = {"authorization": "Bearer canary-token", "user-agent": "canary-agent"}
    with caplog.at_level(logging.INFO):
        response = client.post(
            f"{CONVERSATIONS}?q=canary-query",
            {"title": "canary-body"},
            content_type="application/json",
            headers=headers,
        )
    (line,) = lines(caplog)
    request_id = response.headers["X-Request-ID"]
    assert re.fullmatch(
        rf"\S+\+00:00 INFO gantry\.requests request={request_id} method=POST path={CONVERSATIONS} status=401 ms=[\d.]+",
        line,
    )


@pytest.mark.django_db
def test_every_request_has_an_id_of_its_own() -> None:
    client = Client()
    ids = {client.get("/health").headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3
    assert client.get("/health", headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] != "mine"


@pytest.mark.django_db
def test_a_path_cannot_pass_for_a_line_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gantry.requests"):
        Client().get("/api/x%0A2026-01-01 INFO gantry.requests status=200%1b[31m status=200")
    (line,) = lines(caplog)
    assert line.isprintable()
    assert " status=404 " in line
    assert " status=200" not in line


@pytest.mark.django_db
def test_health_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gantry.requests"):
        Client().get("/health")
    assert lines(caplog) == []


def test_a_traceback_stays_on_its_line() -> None:
    fault = ValueError("first\nsecond\r\nthird")
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed\nbadly", None, (type(fault), fault, None))
    line = LineFormatter().format(record)
    assert "failed | badly | " in line
    assert line.endswith("ValueError: first | second | third")
    assert "\n" not in line


# --- Addresses


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "", "10.0.0.1"),
        (0, "1.1.1.1", "10.0.0.1"),
        (0, "1.1.1.1, 2.2.2.2", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "2.2.2.2", "2.2.2.2"),
        (1, "6.6.6.6, 2.2.2.2", "2.2.2.2"),
        (1, "6.6.6.6,,  2.2.2.2 ,", "2.2.2.2"),
        (2, "", "10.0.0.1"),
        (2, "3.3.3.3", "10.0.0.1"),
        (2, "2.2.2.2, 3.3.3.3", "2.2.2.2"),
        (2, "6.6.6.6, 2.2.2.2, 3.3.3.3", "2.2.2.2"),
    ],
)
def test_only_as_many_hops_are_believed_as_there_are_trusted_proxies(
    settings: Any, proxies: int, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"x-forwarded-for": forwarded, "x-real-ip": "6.6.6.6", "forwarded": "for=6.6.6.6"}
    assert client_address(headers, "10.0.0.1") == address


def test_without_a_peer_nobody_is_named() -> None:
    assert client_address({}, None) == "unknown"


# --- Bodies


async def in_chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.django_db(transaction=True)
async def test_a_body_in_chunks_is_read_whole(program: httpx.AsyncClient) -> None:
    body = in_chunks(b'{"tit', b"", b'le": "In ', b'chunks"}')
    response = await program.post(CONVERSATIONS, content=body, headers={"Content-Type": "application/json"})
    assert "content-length" not in response.request.headers
    assert (response.status_code, response.json()["title"]) == (200, "In chunks")


@pytest.mark.django_db(transaction=True)
async def test_a_body_over_the_limit_is_refused_whether_it_says_its_length_or_not(program: httpx.AsyncClient) -> None:
    kilobyte = b"x" * 1000
    for content in (kilobyte * 9_000, in_chunks(*[kilobyte] * 9_000)):
        response = await program.post(CONVERSATIONS, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 413
        assert response.headers["Content-Type"] == "application/json"
        assert response.json()["detail"] == "That is too large."
    assert not await in_database(Conversation.objects.exists)


@pytest.mark.django_db(transaction=True)
async def test_a_body_of_exactly_the_limit_passes(program: httpx.AsyncClient, settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100
    for padding, status in ((86, 200), (87, 413)):
        body = b'{"title": "x"}' + b" " * padding
        for content in (body, in_chunks(body[:50], body[50:])):
            response = await program.post(CONVERSATIONS, content=content, headers={"Content-Type": "application/json"})
            assert response.status_code == status
