"""Chat over a websocket: who gets in, what is sent, and that the second watcher sees what the first one does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import AsyncClient

from apps.accounts import leases
from apps.accounts.models import ApiToken, Session, User
from apps.conversations.models import Conversation, Message
from apps.core.database import in_database
from apps.core.markdown import render
from gantry.routing import application
from tests.conversations.event_stream import JSON, ask
from tests.scripted_model import PATIENCE, ScriptedModel, tokens

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("running_engine", "scripted_model")]

OURS = "http://localhost"
Headers = dict[str, str]
AsyncBrowserOf = Callable[[User], AsyncClient]


class Socket:
    """A client's end of a socket."""

    def __init__(self, path: str, headers: Headers) -> None:
        raw = [(name.lower().encode(), value.encode()) for name, value in {"Host": "localhost", **headers}.items()]
        self._wire = WebsocketCommunicator(application, path, headers=raw)

    async def open(self) -> bool:
        """Whether the handshake was accepted."""
        accepted, _ = await self._wire.connect(timeout=PATIENCE)
        return accepted

    async def close(self) -> None:
        await self._wire.disconnect(timeout=PATIENCE)

    async def send(self, **frame: Any) -> None:
        await self._wire.send_json_to(frame)

    async def send_text(self, text: str) -> None:
        await self._wire.send_input({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        await self._wire.send_to(bytes_data=data)

    async def next(self) -> dict[str, Any]:
        return json.loads(await self._wire.receive_from(timeout=PATIENCE))

    async def until(self, *kinds: str) -> dict[str, Any]:
        """The next frame of one of these types."""
        while (frame := await self.next())["type"] not in kinds:
            pass
        return frame

    async def through(self, kind: str) -> list[dict[str, Any]]:
        """All frames up to and with the next of this type."""
        frames = [await self.next()]
        while frames[-1]["type"] != kind:
            frames.append(await self.next())
        return frames

    async def code(self) -> int:
        """The code with which the server closes, next."""
        message = await self._wire.receive_output(timeout=PATIENCE)
        assert message["type"] == "websocket.close", message
        return message["code"]

    async def answer(self) -> dict[str, Any]:
        """The one frame since the last `ping`, which nothing else came before."""
        frame = await self.next()
        await self.send(type="ping")
        assert (await self.next())["type"] == "pong"
        return frame


@pytest.fixture
def cookie(alice: User, async_browser_of: AsyncBrowserOf) -> Headers:
    """What alice's browser sends."""
    return browser_headers(async_browser_of(alice))


@pytest.fixture
def strangers_cookie(bob: User, async_browser_of: AsyncBrowserOf) -> Headers:
    return browser_headers(async_browser_of(bob))


@pytest.fixture
def bearer(alice: User) -> Headers:
    """What alice's program sends."""
    return {"Authorization": f"Bearer {ApiToken.objects.issue(alice, 'script')[1]}"}


@pytest.fixture
def browser(alice: User, async_browser_of: AsyncBrowserOf) -> AsyncClient:
    return async_browser_of(alice)


@pytest.fixture
def path(conversation: Conversation) -> str:
    return f"/ws/conversations/{conversation.pk}/"


def browser_headers(browser: AsyncClient) -> Headers:
    return {"Cookie": f"session_token={browser.cookies['session_token'].value}", "Origin": OURS}


@asynccontextmanager
async def opened(path: str, headers: Headers) -> AsyncIterator[Socket]:
    """A socket that was accepted and has had its first frame."""
    async with accepted(path, headers) as socket:
        assert (await socket.next())["type"] == "conversation.snapshot"
        yield socket


@asynccontextmanager
async def accepted(path: str, headers: Headers) -> AsyncIterator[Socket]:
    socket = Socket(path, headers)
    assert await socket.open()
    yield socket
    await socket.close()


# --- The handshake


@pytest.mark.parametrize("origin", [OURS, "HTTP://LOCALHOST"])
async def test_a_cookie_with_our_origin_gets_in(path: str, cookie: Headers, origin: str) -> None:
    async with opened(path, {**cookie, "Origin": origin}):
        pass


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://localhost", "http://localhost:81", "http://localhost.evil.example", "null", ""],
)
async def test_a_foreign_origin_is_refused_in_the_handshake(
    path: str, cookie: Headers, bearer: Headers, origin: str
) -> None:
    for headers in (cookie, bearer, {}):
        for where in (path, "/ws/me/", "/ws/nowhere/"):
            assert not await Socket(where, {**headers, "Origin": origin}).open()


async def test_a_cookie_without_an_origin_is_refused_in_the_handshake(path: str, cookie: Headers) -> None:
    assert not await Socket(path, {"Cookie": cookie["Cookie"]}).open()


@pytest.mark.parametrize("origin", [{}, {"Origin": OURS}])
async def test_a_bearer_needs_no_origin(path: str, bearer: Headers, origin: Headers) -> None:
    async with opened(path, {**bearer, **origin}):
        pass


async def test_a_foreign_host_is_refused_in_the_handshake(path: str, bearer: Headers) -> None:
    assert not await Socket(path, {**bearer, "Host": "evil.example"}).open()


async def test_the_trusted_origins_are_ours_too(path: str, cookie: Headers, settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://chat.example.org"]
    async with opened(path, {**cookie, "Origin": "https://chat.example.org"}):
        pass


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OURS, "Cookie": "session_token=unknown"},
        {"Authorization": "Bearer unknown"},
        {"Authorization": "Basic YWxpY2U6"},
    ],
)
async def test_nobody_is_accepted_and_told_so(path: str, headers: Headers) -> None:
    for where in (path, "/ws/me/"):
        async with accepted(where, headers) as socket:
            assert await socket.code() == 4401


async def test_a_request_with_both_is_the_bearers(path: str, cookie: Headers) -> None:
    async with accepted(path, {**cookie, "Authorization": "Bearer unknown"}) as socket:
        assert await socket.code() == 4401


@pytest.mark.parametrize("where", ["99999", "9" * 20, "9" * 5000])
async def test_a_missing_conversation_closes_with_not_found(bearer: Headers, where: str) -> None:
    async with accepted(f"/ws/conversations/{where}/", bearer) as socket:
        assert await socket.code() == 4404


async def test_a_strangers_conversation_looks_like_a_missing_one(path: str, strangers_cookie: Headers) -> None:
    async with accepted(path, strangers_cookie) as socket:
        assert await socket.code() == 4404


async def test_an_unknown_path_closes_with_not_found(bearer: Headers) -> None:
    for where in ("/ws/", "/ws/nowhere/", "/", "/ws/a\nb/", "/ws/conversations/٣/"):
        async with accepted(where, bearer) as socket:
            assert await socket.code() == 4404


async def test_what_a_stranger_sends_before_the_door_closes_is_not_obeyed(
    path: str, cookie: Headers, strangers_cookie: Headers, scripted_model: ScriptedModel
) -> None:
    async with opened(path, cookie) as watching:
        await watching.send(type="message.send", content="Hi", model="hold")
        await watching.until("turn.started")
        async with accepted(path, strangers_cookie) as socket:
            for command in ({"type": "turn.stop"}, {"type": "message.send", "content": "Canary"}, {"type": "ping"}):
                await socket.send(**command)
            assert await socket.code() == 4404
        scripted_model.release()
        assert (await watching.next())["type"] == "generation.delta"
        scripted_model.finish()
        assert (await watching.until("message.completed", "message.stopped"))["type"] == "message.completed"


# --- A turn


async def test_the_first_frame_says_where_things_stand(
    path: str, cookie: Headers, conversation: Conversation, browser: AsyncClient
) -> None:
    async with accepted(path, cookie) as socket:
        read = (await browser.get(f"/api/chat/conversations/{conversation.pk}")).json()
        assert await socket.next() == {
            "type": "conversation.snapshot",
            "conversation": read["conversation"],
            "streaming": None,
        }


async def test_a_question_is_answered_from_message_created_to_message_completed(
    path: str, cookie: Headers, conversation: Conversation, browser: AsyncClient
) -> None:
    async with opened(path, cookie) as socket:
        await socket.send(type="message.send", content="What is Python?", model="say-200", client_id="a")
        frames = await socket.through("message.completed")

    assert [frame["conversation"]["title"] for frame in frames if frame["type"] == "conversation.updated"] == [
        "What is Python?"
    ]
    question, reply, started, *deltas, completed = [
        frame for frame in frames if frame["type"] != "conversation.updated"
    ]
    assert [frame["type"] for frame in (question, reply, started)] == ["message.created"] * 2 + ["turn.started"]
    assert (question["message"]["content"], question["message"]["client_id"]) == ("What is Python?", "a")
    assert (reply["message"]["content"], reply["message"]["status"]) == ("", "streaming")
    assert started == {
        "type": "turn.started",
        "message_id": reply["message"]["id"],
        "model": "say-200",
        "sources": [],
        "degraded": [],
    }
    assert {frozenset(delta) for delta in deltas} == {frozenset({"type", "message_id", "seq", "text"})}
    assert [delta["seq"] for delta in deltas] == list(range(1, len(deltas) + 1))
    assert "".join(delta["text"] for delta in deltas) == tokens(200) == completed["message"]["content"]
    read = (await browser.get(f"/api/chat/conversations/{conversation.pk}")).json()
    assert completed == {"type": "message.completed", "message": read["messages"][-1]}


async def test_two_sockets_see_the_same(path: str, cookie: Headers, bearer: Headers) -> None:
    async with opened(path, cookie) as one, opened(path, bearer) as other:
        await one.send(type="message.send", content="Hi", model="say-50")
        assert await one.through("message.completed") == await other.through("message.completed")


async def test_a_latecomer_goes_on_where_the_snapshot_ends(
    path: str, cookie: Headers, scripted_model: ScriptedModel
) -> None:
    async with opened(path, cookie) as early:
        await early.send(type="message.send", content="Hi", model="hold")
        scripted_model.release(2)
        text = ""
        while text != tokens(2):
            text += (delta := await early.until("generation.delta"))["text"]
        async with accepted(path, cookie) as late:
            streaming = (await late.next())["streaming"]
            assert streaming == {"message_id": delta["message_id"], "seq": delta["seq"], "text": tokens(2)}
            scripted_model.release()
            scripted_model.finish()
            rest = await late.through("message.completed")
            assert rest == await early.through("message.completed")
            assert [frame["seq"] for frame in rest[:-1]] == [streaming["seq"] + 1]


async def test_a_stop_over_the_socket_keeps_the_text(path: str, cookie: Headers, scripted_model: ScriptedModel) -> None:
    async with opened(path, cookie) as socket:
        await socket.send(type="turn.stop")
        await socket.send(type="message.send", content="Hi", model="hold")
        scripted_model.release()
        await socket.until("generation.delta")
        await socket.send(type="turn.stop")
        stopped = await socket.until("message.stopped", "message.completed", "message.failed")
        assert (stopped["type"], stopped["message"]["content"]) == ("message.stopped", "t1 ")
    await scripted_model.until(lambda: scripted_model.open == 0)


async def test_a_failure_says_why_and_carries_the_message(path: str, cookie: Headers) -> None:
    async with opened(path, cookie) as socket:
        await socket.send(type="message.send", content="Hi", model="drop-2")
        failed = await socket.until("message.failed", "message.completed")
        assert set(failed) == {"type", "message", "code", "detail"}
        assert (failed["message"]["status"], failed["message"]["content"]) == ("interrupted", tokens(2))


async def test_answers_and_questions_get_siblings_over_the_socket(path: str, cookie: Headers) -> None:
    async with opened(path, cookie) as socket:
        await socket.send(type="message.send", content="Hi", model="say-1")
        reply = (await socket.until("message.completed"))["message"]
        await socket.send(type="message.regenerate", message_id=reply["id"], model="say-2")
        created = await socket.until("message.created")
        assert created["message"]["siblings"] == [reply["id"], created["message"]["id"]]
        assert (await socket.until("message.completed"))["message"]["content"] == tokens(2)
        await socket.send(type="message.edit", message_id=reply["parent_id"], content="Hello", client_id="e")
        created = await socket.until("message.created")
        assert created["message"]["content"] == "Hello"
        assert created["message"]["siblings"] == [reply["parent_id"], created["message"]["id"]]
        await socket.until("message.completed")


async def test_a_repeat_is_answered_with_the_stored_pair(
    path: str, cookie: Headers, scripted_model: ScriptedModel
) -> None:
    async with opened(path, cookie) as socket, opened(path, cookie) as other:
        await socket.send(type="message.send", content="Hi", model="say-3", client_id="a")
        completed = await socket.until("message.completed")
        await socket.send(type="message.send", content="Something else", client_id="a")
        question, reply, again = [await socket.next() for _ in range(3)]
        assert [question["type"], reply["type"]] == ["message.created"] * 2
        assert (question["message"]["content"], reply["message"]["id"]) == ("Hi", completed["message"]["id"])
        assert again == completed
        await other.until("message.completed")
        await other.send(type="ping")
        assert (await other.next())["type"] == "pong"
    assert len(scripted_model.chats) == 1


async def test_a_repeat_meanwhile_is_answered_with_where_the_reply_stands(
    path: str, cookie: Headers, scripted_model: ScriptedModel
) -> None:
    async with opened(path, cookie) as socket:
        await socket.send(type="message.send", content="Hi", model="hold", client_id="a")
        scripted_model.release()
        await socket.until("generation.delta")
        await socket.send(type="message.send", content="Hi", model="hold", client_id="a")
        kinds = [await socket.next() for _ in range(3)]
        assert [frame["type"] for frame in kinds] == ["message.created", "message.created", "conversation.snapshot"]
        assert kinds[-1]["streaming"]["text"] == "t1 "
        scripted_model.finish()
        assert (await socket.next())["type"] == "message.completed"
    assert len(scripted_model.chats) == 1


async def test_another_question_meanwhile_is_refused_with_its_client_id(
    path: str, cookie: Headers, scripted_model: ScriptedModel
) -> None:
    async with opened(path, cookie) as socket:
        await socket.send(type="message.send", content="Hi", model="hold")
        await socket.until("turn.started")
        await socket.send(type="message.send", content="Again", client_id="b")
        error = await socket.answer()
        assert (error["type"], error["code"], error["client_id"]) == ("error", "turn_in_progress", "b")
        scripted_model.finish()
    assert await in_database(Message.objects.count) == 2


async def test_a_watcher_that_leaves_takes_nothing_with_it(
    path: str, cookie: Headers, scripted_model: ScriptedModel
) -> None:
    async with opened(path, cookie) as socket:
        await socket.send(type="message.send", content="Hi", model="hold")
        await socket.until("turn.started")
    async with accepted(path, cookie) as socket:
        assert (await socket.next())["streaming"]["seq"] == 0
        scripted_model.release(2)
        scripted_model.finish()
        assert (await socket.until("message.completed"))["message"]["content"] == tokens(2)


# --- Commands that are refused


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "null", "[]", "5", '"ping"', "[" * 100_000, '{"a":' * 100_000, "9" * 5000, "{}", "ping"),
        *('{"type": 5}', '{"type": null}', '{"type": ["ping"]}', '{"type": "nonsense"}', '{"type": "__init__"}'),
        *('{"type": "relay"}', '{"type": "close"}', '{"type": "message.send"}', '{"type": "message.regenerate"}'),
        *('{"type": "message.send", "content": ' + value + "}" for value in ("5", "null", "[]", "{}", "true", '""')),
        *('{"type": "message.send", "content": ' + value + "}" for value in ('"\\u0000"', '"\\ud800"', "NaN")),
        '{"type": "message.send", "content": "Hi", "client_id": "' + "x" * 65 + '"}',
        '{"type": "message.send", "content": "Hi", "client_id": 5}',
        '{"type": "message.send", "content": "Hi", "model": 5}',
        *('{"type": "message.edit", "content": "Hi", "message_id": ' + value + "}" for value in ("1", "null", '"1"')),
        *('{"type": "message.regenerate", "message_id": ' + value + "}" for value in ("9" * 20, "1.0", "true", "-1")),
    ],
    ids=lambda text: text[:70],
)
async def test_a_malformed_frame_is_answered_with_an_error_and_the_socket_stays(
    path: str, bearer: Headers, text: str
) -> None:
    async with opened(path, bearer) as socket:
        await socket.send_text(text)
        error = await socket.answer()
        assert error["type"] == "error"
        assert error["code"]
        assert error["detail"]
    assert not await in_database(Message.objects.exists)


async def test_a_binary_frame_is_refused_likewise(path: str, bearer: Headers) -> None:
    async with opened(path, bearer) as socket:
        await socket.send_bytes(b"\xff\x00")
        assert (await socket.answer())["type"] == "error"


async def test_more_than_a_message_holds_is_refused_with_its_client_id(path: str, bearer: Headers) -> None:
    async with opened(path, bearer) as socket:
        await socket.send(type="message.send", content="x" * 1_000_001, client_id="big")
        error = await socket.answer()
        assert (error["code"], error["client_id"]) == ("too_large", "big")


async def test_a_message_of_somebody_else_or_of_another_conversation_is_not_found(
    path: str, bearer: Headers, alice: User, bob: User, scripted_model: ScriptedModel
) -> None:
    @sync_to_async
    def elsewhere(owner: User) -> int:
        other = Conversation.objects.create(owner=owner)
        return other.ask("Canary", parent_id=None).pk

    async with opened(path, bearer) as socket:
        for message_id in (await elsewhere(alice), await elsewhere(bob)):
            for command in ({"type": "message.regenerate"}, {"type": "message.edit", "content": "Mine"}):
                await socket.send(**command, message_id=message_id)
                error = await socket.answer()
                assert (error["code"], error["detail"]) == ("not_found", "Not found.")
    assert not scripted_model.chats


# --- HTML


async def test_html_follows_the_text_in_blocks(path: str, cookie: Headers, scripted_model: ScriptedModel) -> None:
    async with opened(f"{path}?render=html", cookie) as socket:
        await socket.send(type="message.send", content="Hi", model="hold")
        for count in range(1, 4):
            scripted_model.release()
            rendered = await socket.until("message.rendered")
            assert set(rendered) == {"type", "message_id", "block", "start", "end", "html"}
            assert (rendered["block"], rendered["start"], rendered["end"]) == (0, 0, len(tokens(count)))
            assert tokens(count).strip() in rendered["html"]
        scripted_model.finish()
        completed = await socket.until("message.completed")
    assert completed["message"]["id"] == rendered["message_id"]
    assert completed["html"] == render(completed["message"]["content"])


async def test_blocks_touch_and_the_end_carries_the_whole_which_is_safe(
    path: str, cookie: Headers, scripted_model: ScriptedModel
) -> None:
    async with opened(f"{path}?render=html", cookie) as socket:
        question = "# Title\n\nSome *words*\n\n<b onclick=x>\n\n![](https://evil.example/x.png)\n\n" * 50
        await socket.send(type="message.send", content=question, model="echo")
        frames = await socket.through("message.completed")
    completed = frames[-1]
    assert completed["html"] == render(completed["message"]["content"])
    assert "<b " not in completed["html"]
    assert "<img" not in completed["html"]
    text = ""
    blocks = {}
    for frame in frames:
        text += frame["text"] if frame["type"] == "generation.delta" else ""
        if frame["type"] == "message.rendered":
            assert frame["end"] <= len(text)
            blocks[frame["block"]] = frame["start"], frame["end"]
    assert text == completed["message"]["content"]
    shown = [(start, end) for _, (start, end) in sorted(blocks.items()) if start != end]
    assert [start for start, _ in shown] == [0, *(end for _, end in shown)][: len(shown)]


async def test_a_latecomers_snapshot_carries_the_blocks_so_far(
    path: str, cookie: Headers, scripted_model: ScriptedModel
) -> None:
    async with opened(path, cookie) as early:
        await early.send(type="message.send", content="Hi", model="hold")
        scripted_model.release()
        await early.until("generation.delta")
        async with accepted(f"{path}?render=html", cookie) as late:
            snapshot = await late.next()
            assert [(block["start"], block["end"]) for block in snapshot["blocks"]] == [(0, 3)]
            assert "t1" in snapshot["blocks"][0]["html"]
            scripted_model.finish()
            assert "t1" in (await late.until("message.completed"))["html"]


async def test_a_repeat_of_an_older_question_leaves_the_running_replys_html_whole(
    path: str, cookie: Headers, scripted_model: ScriptedModel
) -> None:
    async with opened(f"{path}?render=html", cookie) as socket:
        await socket.send(type="message.send", content="Hi", model="say-3", client_id="a")
        await socket.until("message.completed")
        await socket.send(type="message.send", content="Hi", model="hold")
        scripted_model.release()
        rendered = await socket.until("message.rendered")
        await socket.send(type="message.send", content="Hi", client_id="a")
        await socket.until("message.completed")
        scripted_model.release()
        again = await socket.until("message.rendered")
        assert (again["message_id"], again["start"], again["end"]) == (rendered["message_id"], 0, 6)
        assert "t1 t2" in again["html"]
        scripted_model.finish()
        await socket.until("message.completed")


async def test_without_asking_for_html_none_comes(path: str, bearer: Headers) -> None:
    async with opened(f"{path}?render=pdf", bearer) as socket:
        await socket.send(type="message.send", content="Hi", model="say-3")
        frames = await socket.through("message.completed")
    assert not [frame for frame in frames if "html" in frame or frame["type"] == "message.rendered"]


# --- The end of a socket


async def test_deleting_the_conversation_closes_its_sockets(
    path: str, cookie: Headers, browser: AsyncClient, conversation: Conversation
) -> None:
    async with opened(path, cookie) as socket:
        assert (await browser.delete(f"/api/chat/conversations/{conversation.pk}")).status_code == 200
        assert await socket.code() == 4404


async def test_ending_the_session_closes_its_sockets(path: str, cookie: Headers, bearer: Headers) -> None:
    async with opened(path, cookie) as socket, accepted("/ws/me/", cookie) as list_socket, opened(path, bearer) as kept:
        await in_database(Session.objects.all().delete)
        await in_database(leases.sweep)
        assert await socket.code() == 4401
        assert await list_socket.code() == 4401
        await kept.send(type="ping")
        assert await kept.next() == {"type": "pong"}


async def test_ending_a_token_closes_its_sockets(path: str, bearer: Headers, cookie: Headers) -> None:
    async with opened(path, bearer) as socket, opened(path, cookie) as kept:
        await in_database(ApiToken.objects.all().delete)
        await in_database(leases.sweep)
        assert await socket.code() == 4401
        await kept.send(type="ping")
        assert await kept.next() == {"type": "pong"}


async def test_after_the_session_has_ended_nothing_more_is_obeyed_nor_told(
    path: str, cookie: Headers, bearer: Headers
) -> None:
    async with opened(path, cookie) as socket, opened(path, bearer) as owner:
        await in_database(Session.objects.all().delete)
        await in_database(leases.sweep)
        assert await socket.code() == 4401
        await socket.send(type="message.send", content="Too late", client_id="x")
        await owner.send(type="message.send", content="Private", model="say-1")
        await owner.until("message.completed")
        assert await socket._wire.receive_nothing(timeout=0.05)
    contents = await in_database(lambda: list(Message.objects.values_list("content", flat=True)))
    assert contents == ["Private", tokens(1)]


# --- A person's own list


async def test_ones_own_pages_hear_of_conversations_made_changed_and_deleted(
    cookie: Headers, strangers_cookie: Headers, browser: AsyncClient
) -> None:
    async with accepted("/ws/me/", cookie) as mine, accepted("/ws/me/", strangers_cookie) as theirs:
        for socket in (mine, theirs):
            await socket.send(type="ping")
            assert await socket.next() == {"type": "pong"}
        made = (await browser.post("/api/chat/conversations", {"title": "Canary"}, content_type=JSON)).json()
        assert await mine.next() == {"type": "conversation.created", "conversation": made}
        changed = (await ask(browser, f"conversations/{made['id']}", method="patch", pinned=True)).json()
        assert await mine.next() == {"type": "conversation.updated", "conversation": changed}
        await ask(browser, f"conversations/{made['id']}/messages", accept=JSON, content="Hi", model="say-1")
        moved = await mine.next()
        assert moved["type"] == "conversation.updated"
        assert moved["conversation"]["updated_at"] > changed["updated_at"]
        await browser.delete(f"/api/chat/conversations/{made['id']}")
        assert await mine.next() == {"type": "conversation.deleted", "conversation_id": made["id"]}
        await theirs.send(type="ping")
        assert await theirs.next() == {"type": "pong"}


async def test_a_conversations_watchers_hear_of_its_change(
    path: str, cookie: Headers, browser: AsyncClient, conversation: Conversation
) -> None:
    async with opened(path, cookie) as socket:
        changed = (await ask(browser, f"conversations/{conversation.pk}", method="patch", title="Renamed")).json()
        assert await socket.next() == {"type": "conversation.updated", "conversation": changed}


async def test_an_operators_change_is_told_like_any_other(
    path: str, cookie: Headers, root: User, async_browser_of: AsyncBrowserOf, conversation: Conversation
) -> None:
    operator = await sync_to_async(async_browser_of)(root)
    async with opened(path, cookie) as socket, accepted("/ws/me/", cookie) as mine:
        await mine.send(type="ping")
        await mine.next()
        form = {"title": "Renamed", "model": "", "memory": "on"}
        await operator.post(f"/admin/conversations/conversation/{conversation.pk}/change/", form)
        told = await socket.next()
        assert (told["type"], told["conversation"]["title"]) == ("conversation.updated", "Renamed")
        assert await mine.next() == told


async def test_a_refused_change_is_told_nobody(
    cookie: Headers, browser: AsyncClient, conversation: Conversation
) -> None:
    async with accepted("/ws/me/", cookie) as mine:
        await mine.send(type="ping")
        assert await mine.next() == {"type": "pong"}
        assert (await ask(browser, f"conversations/{conversation.pk}", method="patch", title=5)).status_code == 422
        await mine.send(type="ping")
        assert await mine.next() == {"type": "pong"}
