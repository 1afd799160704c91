"""Kills, restarts, and several processes over one database."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.scripted_model import ScriptedModel, tokens
from tests.servers import EMAIL, PASSWORD, Product

REDIS = "redis://127.0.0.1:6379/9"


def new_conversation(client: httpx.Client) -> int:
    return int(client.post("/api/chat/conversations").json()["id"])


def watch(product: Product, client: httpx.Client, conversation_id: int) -> ClientConnection:
    url = product.socket_url(f"/ws/conversations/{conversation_id}/")
    return connect(url, additional_headers=product.socket_headers(client))


def hear(socket: ClientConnection, kind: str) -> dict[str, object]:
    """The next frame of this type."""
    while (frame := json.loads(socket.recv(10)))["type"] != kind:
        pass
    return frame


def hear_text(socket: ClientConnection, text: str) -> None:
    """Listen until the deltas add up to the text."""
    heard = ""
    while heard != text:
        heard += str(hear(socket, "generation.delta")["text"])


def reply_of(client: httpx.Client, conversation_id: int) -> dict[str, object]:
    return client.get(f"/api/chat/conversations/{conversation_id}").json()["messages"][-1]


def test_a_kill_in_mid_answer_loses_no_question_and_ends_the_reply_within_ten_seconds(
    product: Product, model_server: ScriptedModel
) -> None:
    client = product.sign_in()
    conversation_id = new_conversation(client)
    with watch(product, client, conversation_id) as socket:
        socket.send(json.dumps({"type": "message.send", "content": "Hello?", "model": "hang-3", "client_id": "a"}))
        hear_text(socket, tokens(3))
        # The text shown is stored at most half a second later.
        while reply_of(client, conversation_id)["content"] != tokens(3):
            pass
        product.kill()
    product.start()

    restarted_at = time.monotonic()
    client = product.sign_in()
    while reply_of(client, conversation_id)["status"] == "streaming":
        assert time.monotonic() - restarted_at < 10
    question, reply = client.get(f"/api/chat/conversations/{conversation_id}").json()["messages"]
    assert question["content"] == "Hello?"
    assert (reply["status"], reply["content"], reply["error"]["code"]) == ("interrupted", tokens(3), "crashed")

    # The same send, tried again after the crash, finds its pair; a new one works.
    ask = f"/api/chat/conversations/{conversation_id}/messages"
    as_json = {"Accept": "application/json"}
    again = client.post(ask, json={"content": "Hello?", "client_id": "a"}, headers=as_json).json()
    assert again["id"] == reply["id"]
    assert (
        client.post(ask, json={"content": "And now?", "model": "say-2"}, headers=as_json).json()["status"] == "complete"
    )
    assert len(model_server.chats) == 2


def test_an_orderly_stop_stores_what_was_said_and_says_why(product: Product) -> None:
    client = product.sign_in()
    conversation_id = new_conversation(client)
    with watch(product, client, conversation_id) as socket:
        socket.send(json.dumps({"type": "message.send", "content": "Hello?", "model": "hang-3"}))
        hear_text(socket, tokens(3))
        product.stop()
    product.start()
    reply = reply_of(product.sign_in(), conversation_id)
    assert (reply["status"], reply["content"], reply["error"]["code"]) == ("interrupted", tokens(3), "shutdown")


def test_a_password_changed_on_the_command_line_ends_sockets_and_sessions_within_a_second(product: Product) -> None:
    client = product.sign_in()
    conversation_id = new_conversation(client)
    with watch(product, client, conversation_id) as socket:
        hear(socket, "conversation.snapshot")
        change = (
            "from apps.accounts.models import User; u = User.objects.get(email='%s'); u.set_password('%s'); u.save()"
        )
        product.manage("shell", "-c", change % (EMAIL, PASSWORD[::-1]))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(2)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    assert client.get("/api/auth/me").status_code == 401


def test_two_processes_share_turns_stops_and_news(data_dir: Path, model_server: ScriptedModel) -> None:
    _need_redis()
    with (
        Product(data_dir, tabby_host=model_server.url, REDIS_URL=REDIS) as one,
        Product(data_dir, tabby_host=model_server.url, REDIS_URL=REDIS) as two,
    ):
        client = one.sign_in()
        conversation_id = new_conversation(client)
        with watch(one, client, conversation_id) as here:
            here.send(json.dumps({"type": "message.send", "content": "Hello?", "model": "hold"}))
            hear(here, "turn.started")
            model_server.release(3)
            hear_text(here, tokens(3))
            elsewhere = {**two.socket_headers(client), "Origin": two.url}
            with connect(
                two.socket_url(f"/ws/conversations/{conversation_id}/"), additional_headers=elsewhere
            ) as there:
                snapshot = hear(there, "conversation.snapshot")
                assert snapshot["streaming"]["text"] == tokens(3)
                model_server.release(1)
                assert hear(there, "generation.delta")["text"] == "t4 "
                there.send(json.dumps({"type": "turn.stop"}))
                assert hear(here, "message.stopped")["message"]["content"] == tokens(4)
                assert hear(there, "message.stopped")["message"]["content"] == tokens(4)


def _need_redis() -> None:
    import redis

    try:
        redis.Redis.from_url(REDIS).ping()
    except redis.exceptions.ConnectionError:
        pytest.skip("no Redis listens on loopback")
