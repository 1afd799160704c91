"""Whatever a client sends, the API answers in JSON, with a status below 500, and stores nothing of what it refuses."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient, Client
from drf_spectacular.generators import SchemaGenerator

from apps.accounts.models import ApiToken, Session, User
from apps.conversations import engine
from apps.conversations.models import Conversation, Message
from apps.musehub import recorder
from apps.musehub.models import RecordingSession, Repo
from tests.conversations.event_stream import JSON, ask
from tests.scripted_model import ScriptedModel

DEEP = 100_000
BIG = 9_000_000
FUZZ_REQUESTS = 120
METHODS = {"get", "post", "put", "patch", "delete"}

BrowserOf = Callable[[User], Client]


def routes() -> list[tuple[str, str, bool]]:
    """(method, path, whether it takes a body) of every operation in the OpenAPI schema."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return [
        (method, path, "requestBody" in operation)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]


ROUTES = routes()
WITH_BODY = [(method, path) for method, path, has_body in ROUTES if has_body]
WITH_ID = [(method, path) for method, path, _ in ROUTES if "{" in path]
BY_PATH = {path: {method for method, other, _ in ROUTES if other == path} for _, path, _ in ROUTES}


@pytest.fixture
def browser(alice: User, browser_of: BrowserOf) -> Client:
    return browser_of(alice)


@pytest.fixture
def turn(conversation: Conversation) -> engine.Turn:
    """A question and its answer, for the routes to name."""
    turn = engine.begin(conversation, content="Hello?")
    turn.reply.finish(Message.Status.COMPLETE, content="Well.")
    return turn


@pytest.fixture
def session(alice: User) -> RecordingSession:
    """A recording session, for the routes to name."""
    repo = recorder.open_repo(alice, name="Night Songs", visibility="private")
    return recorder.start(repo, alice)[0]


@pytest.fixture
def address(turn: engine.Turn, session: RecordingSession, alice: User) -> Callable[[str], str]:
    """A route's path with the ids of things that are there, and are alice's."""

    def of(path: str) -> str:
        message_or_conversation = turn.question.pk if path.startswith("/api/chat/messages/") else turn.conversation.pk
        ids = {"id": message_or_conversation, "user_id": alice.pk}
        return path.format(**ids, repo_id=session.repo.repo_id, session_id=session.session_id)

    return of


def is_turn(path: str) -> bool:
    """Whether this route may answer with an event stream."""
    return "messages" in path


def stored() -> list[object]:
    """All that a command could have changed."""
    return [
        list(Conversation.objects.order_by("pk").values()),
        list(Message.objects.order_by("pk").values()),
        list(Repo.objects.order_by("pk").values()),
        list(RecordingSession.objects.order_by("pk").values()),
        list(User.objects.order_by("pk").values()),
        list(ApiToken.objects.order_by("pk").values_list("pk")),
        list(Session.objects.order_by("pk").values_list("pk")),
    ]


def send(browser: Client, method: str, path: str, body: bytes, content_type: str = JSON, **headers: str) -> Any:
    return browser.generic(method.upper(), path, body, content_type, headers=headers)


def assert_refused(response: Any, *statuses: int) -> None:
    assert response.status_code in statuses, (response.status_code, response.content[:200])
    assert response.headers["Content-Type"] == JSON
    assert response.json()["detail"]


MALFORMED = {
    "deep list": b"[" * DEEP,
    "deep object": b'{"a":' * DEEP,
    "deep and closed": b"[" * DEEP + b"]" * DEEP,
    "deep in a field": b'{"content": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "truncated": b'{"content": "Hi"',
    "trailing": b'{"content": "Hi"} {}',
    "NaN": b'{"content": NaN}',
    "Infinity": b'{"title": -Infinity}',
    "latin-1": '{"content": "é"}'.encode("latin-1"),
    "utf-16": '{"content": "Hi"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"content": "Hi"}',
    "surrogate bytes": b'{"content": "\xed\xa0\x80"}',
    "raw NUL": b'{"content": "\x00"}',
    "5,000 digits": b'{"content": ' + b"9" * 5000 + b"}",
    "list": b"[]",
    "list of objects": b'[{"content": "Hi"}]',
    "text": b'"content"',
    "number": b"7",
    "true": b"true",
    "null": b"null",
    "not json": b"content=Hi",
    "html": b"<html>",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_body_that_is_no_json_object_is_invalid(browser: Client, address: Callable[[str], str], what: str) -> None:
    before = stored()
    for method, path in WITH_BODY:
        for accept in (JSON, *(["text/event-stream"] if is_turn(path) else []), "*/*"):
            assert_refused(send(browser, method, address(path), MALFORMED[what], accept=accept), 422)
    assert stored() == before


def test_a_body_over_the_limit_is_too_large(browser: Client, address: Callable[[str], str]) -> None:
    before = stored()
    body = b'{"content": "' + b"x" * BIG + b'"}'
    for method, path in WITH_BODY:
        assert_refused(send(browser, method, address(path), body), 413)
    assert stored() == before


@pytest.mark.parametrize(
    ("content_type", "statuses"),
    [
        ("application/json; charset=bogus", {422}),
        ("application/json; charset=utf-16", {422}),
        ("application/json; charset=base64", {422}),
        ("text/plain", {415}),
        ("application/xml", {415}),
        ("nonsense", {415}),
        ("multipart/form-data", {400, 415, 422}),
        ("multipart/form-data; boundary=", {400, 415, 422}),
        ("multipart/form-data; boundary=\u00e9", {400, 415, 422}),
    ],
)
def test_another_kind_of_body_is_refused(
    browser: Client, address: Callable[[str], str], content_type: str, statuses: set[int]
) -> None:
    before = stored()
    for method, path in WITH_BODY:
        body = '{"content": "é", "title": "é"}'.encode("latin-1")
        assert_refused(send(browser, method, address(path), body, content_type), *statuses)
    assert stored() == before


@pytest.mark.parametrize("charset", ["bogus", "utf-16", "base64", "idna", "rot13", "undefined", "latin-1"])
def test_a_form_in_an_odd_charset_never_fails(browser: Client, address: Callable[[str], str], charset: str) -> None:
    token = ApiToken.objects.issue(User.objects.get(), "script")[1]
    form = b"content=&current_password=&title=%ff%00"
    content_type = f"application/x-www-form-urlencoded; charset={charset}"
    for client, headers in ((browser, {}), (Client(), {"authorization": f"Bearer {token}"})):
        for method, path in WITH_BODY:
            if path.endswith("/regenerate") or "/entities/" in path:
                continue  # they need no field, so that an empty form is in order
            response = send(client, method, address(path), form, content_type, **headers)
            if response.status_code not in (200, 201):  # a recording session needs no field
                assert_refused(response, 400, 415, 422)


def test_any_charset_in_the_header_is_read_as_utf_8(browser: Client) -> None:
    body = '{"title": "Québec"}'.encode()
    for charset in ("bogus", "utf-16", "latin-1", "base64"):
        response = send(browser, "post", "/api/chat/conversations", body, f"{JSON}; charset={charset}")
        assert (response.status_code, response.json()["title"]) == (200, "Québec")


NOT_TEXT = [5, 1.5, -0.0, True, False, [], {}, ["x"], {"a": "b"}, 10**20, 1e308]
UNSTORABLE = ["nul\0", "\ud800", "\udfff and more", "x\0y"]
TEXTS = [
    ("post", "/api/chat/conversations", "title", {}),
    ("post", "/api/chat/conversations", "model", {}),
    ("post", "/api/chat/conversations/{id}/messages", "content", {}),
    ("post", "/api/chat/conversations/{id}/messages", "model", {"content": "Hi"}),
    ("post", "/api/chat/conversations/{id}/messages", "client_id", {"content": "Hi"}),
    ("patch", "/api/chat/messages/{id}", "content", {}),
    ("patch", "/api/chat/messages/{id}", "client_id", {"content": "Hi"}),
    ("post", "/api/chat/messages/{id}/regenerate", "model", {}),
    ("post", "/api/chat/messages/{id}/regenerate", "client_id", {}),
    ("post", "/api/auth/login", "email", {"password": "x"}),
    ("post", "/api/auth/login", "password", {"email": "x"}),
    ("post", "/api/auth/change-password", "current_password", {"new_password": "x"}),
    ("post", "/api/auth/change-password", "new_password", {"current_password": "x"}),
    ("post", "/api/auth/tokens", "name", {}),
]


@pytest.mark.parametrize(("method", "path", "field", "others"), TEXTS)
def test_text_is_never_made_of_anything_else(
    browser: Client, address: Callable[[str], str], method: str, path: str, field: str, others: dict[str, str]
) -> None:
    before = stored()
    may_be_null = field in {"model", "client_id"}
    for value in [*NOT_TEXT, *UNSTORABLE, *([] if may_be_null else [None, ""])]:
        response = send(browser, method, address(path), json.dumps({**others, field: value}).encode())
        assert_refused(response, 422)
        assert list(response.json()["errors"]) == [field]
    assert stored() == before


def test_a_message_needs_content(browser: Client, address: Callable[[str], str]) -> None:
    before = stored()
    for method, path in (("post", "/api/chat/conversations/{id}/messages"), ("patch", "/api/chat/messages/{id}")):
        for body in (b"", b"{}", b'{"content": ""}', b'{"text": "Hi"}'):
            response = send(browser, method, address(path), body)
            assert_refused(response, 422)
            assert list(response.json()["errors"]) == ["content"]
        client_id = json.dumps({"content": "Hi", "client_id": "x" * 65}).encode()
        assert_refused(send(browser, method, address(path), client_id), 422)
    assert stored() == before


@pytest.mark.parametrize("content", ["x" * 1_000_001, "é" * 500_000 + "x", "👩" * 250_001, "\n" * 1_000_001])
def test_more_than_a_million_bytes_is_too_large(browser: Client, address: Callable[[str], str], content: str) -> None:
    before = stored()
    for method, path in (("post", "/api/chat/conversations/{id}/messages"), ("patch", "/api/chat/messages/{id}")):
        for ensure_ascii in (True, False):
            body = json.dumps({"content": content}, ensure_ascii=ensure_ascii).encode()
            assert_refused(send(browser, method, address(path), body), 413)
    assert stored() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("running_engine", "scripted_model")
@pytest.mark.parametrize("content", ["x" * 1_000_000, "é" * 500_000, "👩" * 250_000, "\x01" * 1_000_000, " ", "x"])
async def test_content_up_to_a_million_bytes_passes_whole(
    alice: User,
    async_browser_of: Callable[[User], AsyncClient],
    conversation: Conversation,
    content: str,
    scripted_model: ScriptedModel,
) -> None:
    browser = await sync_to_async(async_browser_of)(alice)
    path = f"conversations/{conversation.pk}"
    response = await ask(browser, f"{path}/messages", accept=JSON, content=content, client_id="x" * 64, model="say-1")
    assert (response.status_code, response.json()["status"]) == (200, "complete")
    read = (await browser.get(f"/api/chat/{path}")).json()
    assert read["messages"][0]["content"] == content
    assert scripted_model.chats[-1].body["messages"][-1]["content"] == content


@pytest.mark.parametrize("body", [b"", b"{}", b"{", b"[]", b"NaN"])
def test_the_browsable_api_fails_no_more_than_the_plain_one(
    browser: Client, address: Callable[[str], str], body: bytes
) -> None:
    for method, path, _ in ROUTES:
        if path.endswith(("/regenerate", "/events")) or (method, path) == ("delete", "/api/chat/conversations/{id}"):
            continue  # these would act, or not end
        response = send(browser, method, address(path), body, accept="text/html")
        assert response.status_code < 500, path


@pytest.mark.parametrize("accept", [JSON, "*/*", "text/html"])
def test_what_a_route_takes_can_be_asked_for(browser: Client, address: Callable[[str], str], accept: str) -> None:
    for path in BY_PATH:
        response = send(browser, "options", address(path), b"", accept=accept)
        assert response.status_code in (200, 401, 406 if accept == "text/html" else 200), path


# --- Addresses


@pytest.mark.parametrize("number", ["0", "99999", "9" * 20, "9" * 5000])
def test_an_id_of_any_length_is_not_found(browser: Client, turn: engine.Turn, number: str) -> None:
    before = stored()
    valid = {"content": "Hi", "message_id": turn.reply.pk, "title": "Mine"}
    for method, path in WITH_ID:
        response = send(browser, method, path.replace("{id}", number), json.dumps(valid).encode())
        assert_refused(response, 404)
        assert response.json()["detail"] == "Not found."
    assert stored() == before


@pytest.mark.parametrize("accept", [JSON, "text/event-stream", "*/*", "image/png"])
def test_another_method_is_not_allowed(browser: Client, address: Callable[[str], str], accept: str) -> None:
    before = stored()
    for path, allowed in BY_PATH.items():
        for method in METHODS - allowed:
            response = send(browser, method, address(path), b"{}", accept=accept)
            assert_refused(response, 405, *([] if accept in (JSON, "*/*") else [406]))
            if response.status_code == 405:
                assert {each.lower() for each in response.headers["Allow"].split(", ")} >= allowed
    assert stored() == before


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        *("/api", "/api/", "/api/nowhere", "/api/chat", "/api/chat/conversations/", "/api/chat/conversations/abc"),
        *("/api/chat/conversations/-1", "/api/chat/conversations/1.0", "/api/chat/%00", "/api/%ED%A0%80", "/api//chat"),
        *("/api/chat/conversations/%D9%A3", "/api/../etc/passwd", "/api/chat/conversations/1/messages/"),
    ],
)
def test_an_unknown_address_is_not_found(browser: Client, path: str) -> None:
    for asking in (browser, Client()):
        for method in METHODS:
            for accept in (JSON, "text/html"):
                assert_refused(send(asking, method, path, b"{}", accept=accept), 404)


# --- At random


def values(chance: random.Random, depth: int = 0) -> Any:
    """A JSON value of any kind."""
    scalars = [
        *(None, True, False, 0, -1, 1.5, 2**31, 2**63 - 1, 2**63, -(2**63), 10**20, "", "x", "New Conversation"),
        *(
            "nul\0",
            "\ud800",
            "漢字👩‍👩‍👧",
            "x" * 65,
            "x" * 201,
            "-1",
            "true",
            "2026-01-01",
            "0001-01-01T00:00:00+14:00",
        ),
    ]
    if depth > 2 or chance.random() < 0.7:
        return chance.choice(scalars)
    if chance.random() < 0.5:
        return [values(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {chance.choice(FIELDS): values(chance, depth + 1) for _ in range(chance.randrange(4))}


FIELDS = [
    *(
        "title",
        "model",
        "pinned",
        "archived",
        "memory",
        "temporary",
        "persona_id",
        "content",
        "client_id",
        "message_id",
    ),
    *("email", "password", "current_password", "new_password", "name", "expires_at", "id", "owner", "unknown"),
]


def requests(chance: random.Random, address: Callable[[str], str]) -> Iterator[tuple[str, str, bytes, str]]:
    """(method, path with a query, body, Accept), for every route again and again."""
    for number in range(FUZZ_REQUESTS):
        method, path, _ = ROUTES[number % len(ROUTES)]
        where = path if method == "delete" else address(path)
        where = where.replace("{id}", str(chance.choice([0, 99_999, 2**63 - 1, 2**63, 10**30])))
        query = "&".join(
            f"{name}={chance.choice(['', '0', '1', '-1', 'abc', '%00', '%ff', 'true', '9' * 20])}"
            for name in chance.sample(["limit", "before", "cursor", "archived", "format", "q"], 2)
        )
        fields = {chance.choice(FIELDS): values(chance) for _ in range(chance.randrange(6))}
        body = fields if chance.random() < 0.8 else values(chance)
        yield method, f"{where}?{query}", json.dumps(body).encode(), chance.choice([JSON, "text/event-stream", "*/*"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("running_engine", "scripted_model")
async def test_nothing_sent_at_random_is_answered_by_a_fault(alice: User, address: Callable[[str], str]) -> None:
    _, token = await sync_to_async(ApiToken.objects.issue)(alice, "script")
    program = AsyncClient()
    seen = set()
    for method, path, body, accept in requests(random.Random(2), address):
        headers = {"accept": accept, "authorization": f"Bearer {token}"}
        response = await program.generic(method.upper(), path, body, JSON, headers=headers)
        seen.add(response.status_code)
        assert response.status_code < 500, (method, path, body)
        if response.status_code >= 400:
            assert response.headers["Content-Type"] == JSON, (method, path, body)
            assert response.json()["detail"], (method, path, body)
        if response.streaming:
            await response.streaming_content.aclose()
    assert {200, 404, 422} <= seen
    assert await sync_to_async(ApiToken.objects.exists)()
