"""Asking over HTTP: the event stream, the finished reply as JSON, repeats, siblings, stopping, following."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from django.test import AsyncClient

from apps.accounts import leases
from apps.accounts.models import ApiToken, Session, User
from apps.conversations.models import Conversation, Message
from apps.core.database import in_database
from gantry.routing import application
from tests.conversations.event_stream import JSON, Frame, ask, first, frames
from tests.scripted_model import PATIENCE, ScriptedModel, tokens

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("running_engine", "scripted_model")]

STREAM = "text/event-stream"
AsyncBrowserOf = Callable[[User], AsyncClient]


@pytest.fixture
def browser(alice: User, async_browser_of: AsyncBrowserOf) -> AsyncClient:
    return async_browser_of(alice)


@pytest.fixture
def strangers_browser(bob: User, async_browser_of: AsyncBrowserOf) -> AsyncClient:
    return async_browser_of(bob)


@pytest.fixture
async def program(alice: User) -> AsyncIterator[httpx.AsyncClient]:
    """Alice's program, at the whole ASGI application: each of its requests has a thread of its own."""
    _, token = await in_database(ApiToken.objects.issue, alice, "script")
    headers = {"Authorization": f"Bearer {token}", "Accept": JSON}
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/chat", headers=headers) as client:
        yield client


@pytest.fixture
def path(conversation: Conversation) -> str:
    return f"conversations/{conversation.pk}"


async def read(browser: AsyncClient, path: str) -> list[dict[str, Any]]:
    """The active branch."""
    return (await browser.get(f"/api/chat/{path}")).json()["messages"]


async def answered(browser: AsyncClient, path: str, content: str = "Hello?", **options: Any) -> dict[str, Any]:
    """The finished reply to a question."""
    response = await ask(browser, f"{path}/messages", content=content, accept=JSON, **{"model": "say-3", **options})
    assert response.status_code == 200
    return response.json()


async def all_frames(response: Any) -> list[Frame]:
    return [frame async for frame in frames(response)]


async def rows() -> int:
    return await in_database(Message.objects.count)


# --- The event stream


async def test_a_question_is_answered_by_a_stream_from_created_to_done(browser: AsyncClient, path: str) -> None:
    response = await ask(browser, f"{path}/messages", content="Hi there", model="paced-300-200")
    created, *deltas, done = await all_frames(response)

    assert created.event == "created"
    question, reply = created.data["user_message"], created.data["message"]
    assert (question["role"], question["content"], question["status"]) == ("user", "Hi there", "complete")
    assert (reply["role"], reply["content"], reply["status"]) == ("assistant", "", "streaming")
    assert reply["parent_id"] == question["id"]

    assert {frame.event for frame in deltas} == {"delta"}
    assert [frame.data["seq"] for frame in deltas] == list(range(1, len(deltas) + 1))
    assert {frame.data["message_id"] for frame in deltas} == {reply["id"]}
    assert {frozenset(frame.data) for frame in deltas} == {frozenset({"message_id", "seq", "text"})}
    assert "".join(frame.data["text"] for frame in deltas) == tokens(200)

    assert done.event == "done"
    assert set(done.data) == {"message"}
    assert done.data["message"] == (await read(browser, path))[-1]


async def test_a_message_carries_what_the_protocol_says(browser: AsyncClient, path: str) -> None:
    reply = await answered(browser, path, client_id="one")
    question = (await read(browser, path))[0]
    assert (
        set(reply)
        == set(question)
        == {
            *(
                "id",
                "conversation_id",
                "parent_id",
                "siblings",
                "role",
                "content",
                "status",
                "model",
                "usage",
                "sources",
            ),
            *("degraded", "error", "generation_time_ms", "time_to_first_token_ms", "client_id", "created_at"),
        }
    )
    assert (question["client_id"], question["siblings"]) == ("one", [question["id"]])
    assert (reply["model"], reply["status"], reply["content"]) == ("say-3", "complete", tokens(3))
    assert (reply["siblings"], reply["parent_id"]) == ([reply["id"]], question["id"])
    assert reply["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    assert (reply["sources"], reply["degraded"], reply["error"]) == ([], [], None)
    assert reply["conversation_id"] == question["conversation_id"]


async def test_what_a_message_carries_comes_in_one_order_whatever_the_database_keeps(
    browser: AsyncClient, path: str
) -> None:
    reply = await answered(browser, path)
    usage = dict(reversed(reply["usage"].items()))
    source = {"score": 0.5, "created_at": reply["created_at"], "message_id": reply["parent_id"]}
    await in_database(Message.objects.filter(pk=reply["id"]).update, usage=usage, sources=[source])
    _, again = await read(browser, path)
    assert list(again["usage"]) == ["prompt_tokens", "completion_tokens", "total_tokens"]
    assert list(again["sources"][0]) == ["message_id", "created_at", "score"]


async def test_nothing_holds_the_frames_back(browser: AsyncClient, path: str) -> None:
    response = await ask(browser, f"{path}/messages", content="Hi")
    assert response.headers["Content-Encoding"] == "identity"
    assert "no-cache" in response.headers["Cache-Control"]
    await all_frames(response)


async def test_the_first_delta_comes_while_the_model_still_writes(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    response = await ask(browser, f"{path}/messages", content="Hi", model="hold")
    scripted_model.release()
    assert (await first(response, "delta")).data["text"] == "t1 "
    scripted_model.finish()


async def test_a_stream_ends_with_the_error_and_the_message_keeps_what_came(browser: AsyncClient, path: str) -> None:
    *_, error = await all_frames(await ask(browser, f"{path}/messages", content="Hi", model="drop-3"))
    assert error.event == "error"
    assert set(error.data) == {"message", "code", "detail"}
    message = error.data["message"]
    assert (message["status"], message["content"]) == ("interrupted", tokens(3))
    assert message["error"] == {"code": error.data["code"], "detail": error.data["detail"]}
    assert error.data["detail"].startswith("[Error: ")


async def test_an_unreachable_model_server_is_named_in_the_seeds_words(
    browser: AsyncClient, path: str, settings: Any
) -> None:
    settings.TABBY_HOST = "http://127.0.0.1:9"
    *_, error = await all_frames(await ask(browser, f"{path}/messages", content="Hi"))
    expected = "[Error: Could not connect to LLM service at http://127.0.0.1:9. Is it running?]"
    assert (error.event, error.data["detail"]) == ("error", expected)
    assert (error.data["message"]["status"], error.data["message"]["content"]) == ("failed", "")


async def test_a_client_that_leaves_loses_nothing(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    await first(await ask(browser, f"{path}/messages", content="Hi", model="hold"), "created")
    async with aclosing(frames(await browser.get(f"/api/chat/{path}/events"))) as stream:
        assert (await anext(stream)).event == "snapshot"
        scripted_model.release(3)
        scripted_model.finish()
        while (frame := await anext(stream)).event != "done":
            pass
    assert frame.data["message"]["content"] == tokens(3)


async def test_a_session_that_ends_ends_its_stream_but_not_the_reply(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    response = await ask(browser, f"{path}/messages", content="Hi", model="hold")
    async with aclosing(frames(response)) as stream:
        assert (await anext(stream)).event == "created"
        await in_database(Session.objects.all().delete)
        await in_database(leases.sweep)
        assert [frame async for frame in stream] == []
    await scripted_model.until(lambda: scripted_model.open == 1)
    scripted_model.release(3)
    scripted_model.finish()
    await scripted_model.until(lambda: scripted_model.finished == 1)


# --- As JSON


@pytest.mark.parametrize(
    ("model", "status", "content"),
    [("say-3", "complete", tokens(3)), ("drop-2", "interrupted", tokens(2)), ("status-500", "failed", "")],
)
async def test_whoever_wants_json_gets_the_finished_reply_whatever_its_status(
    browser: AsyncClient, path: str, model: str, status: str, content: str
) -> None:
    reply = await answered(browser, path, model=model)
    assert (reply["role"], reply["status"], reply["content"]) == ("assistant", status, content)
    assert (reply["error"] is None) is (status == "complete")
    assert reply == (await read(browser, path))[-1]


async def test_whoever_waits_for_json_is_let_go_when_the_session_ends(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    waiting = asyncio.create_task(ask(browser, f"{path}/messages", content="Hello?", accept=JSON, model="hold"))
    await scripted_model.until(lambda: scripted_model.open == 1)
    await in_database(Session.objects.all().delete)
    while not waiting.done():
        await in_database(leases.sweep)
        await asyncio.sleep(0.01)  # the lease is taken after the model was asked, and nothing announces it
    assert (await waiting).status_code == 401


async def test_a_stopped_reply_is_answered_as_json_too(
    program: httpx.AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    asking = asyncio.create_task(program.post(f"/{path}/messages", json={"content": "Hi", "model": "hold"}))
    await scripted_model.until(lambda: scripted_model.open == 1)
    assert (await program.post(f"/{path}/stop")).json() == {"stopped": True}
    async with asyncio.timeout(PATIENCE):
        assert (await asking).json()["status"] == "stopped"


# --- Refusals


@pytest.mark.parametrize("accept", ["*/*", JSON, STREAM])
async def test_a_second_question_meanwhile_is_a_plain_conflict(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel, accept: str
) -> None:
    response = await ask(browser, f"{path}/messages", content="Hi", model="hold")
    reply = (await first(response, "created")).data["message"]
    for method, where in (
        ("post", f"{path}/messages"),
        ("patch", f"messages/{reply['parent_id']}"),
        ("post", f"messages/{reply['id']}/regenerate"),
    ):
        refused = await ask(browser, where, method=method, accept=accept, content="Again")
        assert refused.status_code == 409
        assert refused.headers["Content-Type"] == JSON
        assert refused.json()["code"] == "turn_in_progress"
        assert refused.json()["detail"]
    assert await rows() == 2
    scripted_model.finish()


@pytest.mark.parametrize("accept", ["*/*", JSON, STREAM])
async def test_refusals_are_json_whatever_is_accepted(
    browser: AsyncClient, strangers_browser: AsyncClient, path: str, accept: str
) -> None:
    for asking, where, body, status in (
        (AsyncClient(), path, {"content": "Hi"}, 401),
        (strangers_browser, path, {"content": "Hi"}, 404),
        (browser, "conversations/99999", {"content": "Hi"}, 404),
        (browser, path, {"content": ""}, 422),
        (browser, path, {"content": "x" * 1_000_001}, 413),
    ):
        refused = await ask(asking, f"{where}/messages", accept=accept, **body)
        assert refused.status_code == status
        assert refused.headers["Content-Type"] == JSON
        assert refused.json()["detail"]
    assert await rows() == 0


async def test_of_questions_asked_at_once_one_is_a_turn_and_the_others_are_conflicts(
    program: httpx.AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    asked = [program.post(f"/{path}/messages", json={"content": f"{number}?", "model": "hold"}) for number in range(5)]
    statuses = []
    for response in asyncio.as_completed(asked, timeout=PATIENCE):
        statuses.append((await response).status_code)
        if len(statuses) == 4:
            await scripted_model.until(lambda: scripted_model.open == 1)
            scripted_model.finish()
    assert statuses == [409, 409, 409, 409, 200]
    assert await rows() == 2


# --- Repeats


async def test_a_repeat_after_the_end_answers_with_the_stored_pair(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    once = await all_frames(await ask(browser, f"{path}/messages", content="Hi", client_id="a", model="say-3"))
    created, delta, done = await all_frames(
        await ask(browser, f"{path}/messages", content="Something else", client_id="a")
    )
    assert created.data["user_message"] == once[0].data["user_message"]
    assert created.data["message"]["id"] == once[0].data["message"]["id"]
    assert delta.data["text"] == tokens(3)
    assert done == once[-1]
    assert (await answered(browser, path, "Third", client_id="a"))["id"] == done.data["message"]["id"]
    assert (await rows(), len(scripted_model.chats)) == (2, 1)


async def test_a_repeat_meanwhile_joins_the_running_turn(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    once = await ask(browser, f"{path}/messages", content="Hi", client_id="a", model="hold")
    scripted_model.release(2)
    await first(once, "delta")
    async with aclosing(frames(await ask(browser, f"{path}/messages", content="Hi", client_id="a"))) as again:
        assert (await anext(again)).event == "created"
        assert (await anext(again)).data["seq"] == 1
        scripted_model.release(1)
        scripted_model.finish()
        *_, done = [frame async for frame in again]
    assert done.data["message"]["content"] == tokens(3)
    assert (await rows(), len(scripted_model.chats)) == (2, 1)


async def test_the_same_send_many_times_at_once_asks_the_model_once(
    program: httpx.AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    send = {"content": "Hi", "client_id": "a"}
    asked = await asyncio.gather(*(program.post(f"/{path}/messages", json=send) for _ in range(5)))
    assert {response.status_code for response in asked} == {200}
    assert len({response.content for response in asked}) == 1
    assert (await rows(), len(scripted_model.chats)) == (2, 1)


async def test_a_client_id_counts_within_its_conversation(
    browser: AsyncClient, strangers_browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    await answered(browser, path, "Canary", client_id="a")
    theirs = (await strangers_browser.post("/api/chat/conversations")).json()["id"]
    reply = await answered(strangers_browser, f"conversations/{theirs}", "Mine", client_id="a")
    assert reply["conversation_id"] == theirs
    assert b"Canary" not in scripted_model.chats[-1].raw


async def test_without_a_client_id_the_same_words_are_another_question(browser: AsyncClient, path: str) -> None:
    for nothing in ({}, {"client_id": None}, {"client_id": ""}):
        await answered(browser, path, "Hi", **nothing)
    assert await rows() == 6


# --- Siblings


async def test_another_answer_is_a_sibling_of_the_first(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    reply = await answered(browser, path, client_id="a")
    again = await ask(
        browser, f"messages/{reply['id']}/regenerate", accept=JSON, model="say-4", client_id="b", content="ignored"
    )
    other = again.json()
    assert (other["parent_id"], other["content"]) == (reply["parent_id"], tokens(4))
    assert other["siblings"] == [reply["id"], other["id"]]
    assert [each["id"] for each in await read(browser, path)] == [reply["parent_id"], other["id"]]
    repeated = await ask(browser, f"messages/{reply['id']}/regenerate", accept=JSON, client_id="b")
    assert repeated.json() == other
    assert (await rows(), len(scripted_model.chats)) == (3, 2)


async def test_another_answer_is_streamed_like_the_first(browser: AsyncClient, path: str) -> None:
    reply = await answered(browser, path)
    created, *_, done = await all_frames(await ask(browser, f"messages/{reply['id']}/regenerate", model="say-2"))
    assert created.data["user_message"]["id"] == reply["parent_id"]
    assert created.data["message"]["siblings"] == [reply["id"], created.data["message"]["id"]]
    assert done.data["message"]["content"] == tokens(2)


async def test_an_edited_question_is_a_sibling_and_the_old_branch_stays(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    reply = await answered(browser, path, "Old words")
    question_id = reply["parent_id"]
    edited = await ask(
        browser, f"messages/{question_id}", method="patch", accept=JSON, content="New words", client_id="e"
    )
    assert edited.status_code == 200
    question, new_reply = await read(browser, path)
    assert new_reply == edited.json()
    assert (question["content"], question["siblings"]) == ("New words", [question_id, question["id"]])
    assert b"Old words" not in scripted_model.chats[-1].raw

    again = await ask(browser, f"messages/{question_id}", method="patch", accept=JSON, content="x", client_id="e")
    assert again.json() == new_reply

    moved = await ask(browser, f"{path}/head", message_id=question_id)
    assert moved.status_code == 200
    assert [each["id"] for each in await read(browser, path)] == [question_id, reply["id"]]
    await ask(browser, f"{path}/head", message_id=new_reply["id"])
    assert [each["id"] for each in await read(browser, path)] == [question["id"], new_reply["id"]]


async def test_an_answer_cannot_be_edited(browser: AsyncClient, path: str) -> None:
    reply = await answered(browser, path)
    refused = await ask(browser, f"messages/{reply['id']}", method="patch", content="I never said that")
    assert refused.status_code == 422
    assert await rows() == 2


async def test_a_head_that_is_not_in_the_conversation_is_not_found(browser: AsyncClient, path: str) -> None:
    reply = await answered(browser, path)
    other = (await browser.post("/api/chat/conversations")).json()["id"]
    assert (await ask(browser, f"conversations/{other}/head", message_id=reply["id"])).status_code == 404
    for wrong in ("1", None, True, 1.0, [1], 2**63):
        assert (await ask(browser, f"{path}/head", message_id=wrong)).status_code == 422
    assert (await ask(browser, f"{path}/head", message_id=10**15)).status_code == 404


# --- Stopping


async def test_stopping_keeps_what_was_said(browser: AsyncClient, path: str, scripted_model: ScriptedModel) -> None:
    response = await ask(browser, f"{path}/messages", content="Hi", model="hold")
    scripted_model.release(2)
    async with aclosing(frames(response)) as stream:
        text = ""
        while text != tokens(2):
            text += (await anext(stream)).data.get("text", "")
        assert (await ask(browser, f"{path}/stop")).json() == {"stopped": True}
        *_, stopped = [frame async for frame in stream]
    assert stopped.event == "stopped"
    assert set(stopped.data) == {"message"}
    message = stopped.data["message"]
    assert (message["status"], message["content"], message["error"]) == ("stopped", tokens(2), None)
    await scripted_model.until(lambda: scripted_model.open == 0)
    assert (await ask(browser, f"{path}/stop")).json() == {"stopped": False}


async def test_a_stranger_stops_nothing(
    browser: AsyncClient, strangers_browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    response = await ask(browser, f"{path}/messages", content="Hi", model="hold")
    assert (await ask(strangers_browser, f"{path}/stop")).status_code == 404
    scripted_model.release(2)
    scripted_model.finish()
    assert (await first(response, "done")).data["message"]["content"] == tokens(2)


async def test_deleting_meanwhile_ends_the_stream_and_the_models_work(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    response = await ask(browser, f"{path}/messages", content="Hi", model="hold")
    async with aclosing(frames(response)) as stream:
        assert (await anext(stream)).event == "created"
        await scripted_model.until(lambda: scripted_model.open == 1)
        assert (await browser.delete(f"/api/chat/{path}")).status_code == 200
        assert [frame.event async for frame in stream] in ([], ["stopped"])
    await scripted_model.until(lambda: scripted_model.open == 0)
    assert await rows() == 0


async def test_deleting_while_somebody_asks_never_fails(program: httpx.AsyncClient, path: str) -> None:
    send = {"content": "Hi", "model": "say-1"}
    asked, deleted, asked_too = await asyncio.gather(
        program.post(f"/{path}/messages", json=send),
        program.delete(f"/{path}"),
        program.post(f"/{path}/messages", json=send),
    )
    assert deleted.status_code == 200
    assert {asked.status_code, asked_too.status_code} <= {200, 404, 409}
    assert await rows() == 0


# --- Following


async def test_whoever_comes_late_gets_the_text_so_far_and_then_the_rest(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    response = await ask(browser, f"{path}/messages", content="Hi", model="hold")
    scripted_model.release(2)
    text = ""
    async with aclosing(frames(response)) as stream:
        while text != tokens(2):
            text += (await anext(stream)).data.get("text", "")
    async with aclosing(frames(await browser.get(f"/api/chat/{path}/events"))) as late:
        snapshot = await anext(late)
        assert snapshot.event == "snapshot"
        assert set(snapshot.data) == {"conversation", "streaming"}
        seq = snapshot.data["streaming"]["seq"]
        assert snapshot.data["streaming"]["text"] == tokens(2)
        scripted_model.release(1)
        delta = await anext(late)
        assert (delta.event, delta.data["seq"], delta.data["text"]) == ("delta", seq + 1, "t3 ")
        scripted_model.finish()
        assert (await anext(late)).data["message"]["content"] == tokens(3)


async def test_events_carry_every_turn_until_the_conversation_is_deleted(browser: AsyncClient, path: str) -> None:
    async with aclosing(frames(await browser.get(f"/api/chat/{path}/events"))) as stream:
        snapshot = await anext(stream)
        assert snapshot.data["streaming"] is None
        for number in range(2):
            reply = await answered(browser, path, f"{number}?")
            turn = [await anext(stream)]
            while turn[-1].event != "done":
                turn.append(await anext(stream))
            created, *deltas, done = turn
            assert created.event == "created"
            assert created.data["user_message"]["content"] == f"{number}?"
            assert "".join(delta.data["text"] for delta in deltas) == tokens(3)
            assert done.data["message"] == reply
        await browser.delete(f"/api/chat/{path}")
        assert [frame async for frame in stream] == []


async def test_events_cannot_be_asked_for_without_reading_them(browser: AsyncClient, path: str) -> None:
    assert (await browser.head(f"/api/chat/{path}/events")).status_code == 405


# --- Whose words they are


async def test_what_one_person_said_never_reaches_another_nor_their_prompts(
    browser: AsyncClient, strangers_browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    await answered(browser, path, "The canary sings at dawn", client_id="canary-id")
    theirs = (await strangers_browser.post("/api/chat/conversations")).json()["id"]
    seen = [
        await strangers_browser.get("/api/chat/conversations"),
        await strangers_browser.get(f"/api/chat/{path}"),
        await ask(strangers_browser, f"conversations/{theirs}/messages", accept=JSON, content="Hi", model="echo"),
        await strangers_browser.get(f"/api/chat/conversations/{theirs}"),
    ]
    assert not [response for response in seen if b"canary" in response.content.lower()]
    assert b"canary" not in scripted_model.chats[-1].raw.lower()


async def test_the_model_is_told_the_branch_that_is_read_and_no_error(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel
) -> None:
    await answered(browser, path, "First?")
    await answered(browser, path, "Second?", model="status-500")
    await answered(browser, path, "Third?")
    system, *said = scripted_model.chats[-1].body["messages"]
    assert system["role"] == "system"
    assert [message["role"] for message in said] == ["user", "assistant", "user"]
    assert said[0]["content"] == "First?"
    assert said[-1]["content"].endswith("Third?")
    assert b"[Error" not in scripted_model.chats[-1].raw


async def test_the_named_model_goes_before_the_conversations_and_that_before_the_default(
    browser: AsyncClient, path: str, scripted_model: ScriptedModel, settings: Any
) -> None:
    async def model_of(**options: Any) -> str:
        response = await ask(browser, f"{path}/messages", content="Hi", accept=JSON, **options)
        return response.json()["model"]

    settings.DEFAULT_MODEL = "say-2"
    assert await model_of() == "say-2"
    await ask(browser, path, method="patch", model="say-3")
    assert await model_of() == "say-3"
    assert await model_of(model="say-4") == "say-4"
    assert [chat.body["model"] for chat in scripted_model.chats] == ["say-2", "say-3", "say-4"]
