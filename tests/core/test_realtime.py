"""Events reach whoever joined, in order, and only once what they tell of is committed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.db import OperationalError, transaction

from apps.core.database import in_database
from apps.core.errors import Conflict
from apps.core.realtime import Event, JsonConsumer, Subscription, announce, publish, subscribe
from tests.scripted_model import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


async def heard(subscription: Subscription) -> Any:
    """The number of the next event."""
    async with asyncio.timeout(PATIENCE):
        return (await subscription.next())["number"]


async def test_everyone_in_the_group_hears_in_order_and_nobody_else_does() -> None:
    async with subscribe("here") as one, subscribe("here") as other, subscribe("elsewhere") as stranger:
        for number in range(50):
            await publish("here", {"type": "tick", "number": number})
        await publish("elsewhere", {"type": "tick", "number": -1})
        assert [await heard(one) for _ in range(50)] == list(range(50))
        assert [await heard(other) for _ in range(50)] == list(range(50))
        assert await heard(stranger) == -1


async def test_waiting_can_be_given_up_without_losing_an_event() -> None:
    async with subscribe("here") as subscription:
        for number in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await subscription.next()
            await publish("here", {"type": "tick", "number": number})
            assert await heard(subscription) == number


async def test_whoever_left_is_told_nothing_more() -> None:
    async with subscribe("here") as subscription:
        pass
    await publish("here", {"type": "tick", "number": 1})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await subscription.next()


async def test_an_event_without_listeners_is_no_fault() -> None:
    await publish("nobody", {"type": "tick"})


async def test_an_announcement_waits_for_the_commit() -> None:
    def change() -> None:
        with transaction.atomic():
            announce("here", {"type": "tick", "number": 2})
            announce_first()

    def announce_first() -> None:
        # Published at once: it overtakes what waits for the commit.
        asyncio.run_coroutine_threadsafe(publish("here", {"type": "tick", "number": 1}), loop).result(PATIENCE)

    loop = asyncio.get_running_loop()
    async with subscribe("here") as subscription:
        await in_database(change)
        assert [await heard(subscription), await heard(subscription)] == [1, 2]


async def test_what_is_rolled_back_is_not_announced() -> None:
    def change() -> None:
        with transaction.atomic():
            announce("here", {"type": "tick", "number": 1})
            transaction.set_rollback(True)

    async with subscribe("here") as subscription:
        await in_database(change)
        await in_database(announce, "here", {"type": "tick", "number": 2})
        assert await heard(subscription) == 2


async def test_an_announcement_is_what_it_was_when_it_was_made() -> None:
    def change() -> None:
        with transaction.atomic():
            event = {"type": "tick", "number": 1}
            announce("here", event)
            event["number"] = 2

    async with subscribe("here") as subscription:
        await in_database(change)
        assert await heard(subscription) == 1


def test_an_announcement_where_nobody_listens_is_harmless() -> None:
    announce("nobody", {"type": "tick"})


# --- The base of our sockets


class Machine(JsonConsumer):
    """A socket with a few buttons."""

    commands = {"press": "press", "jam": "jam", "unplug": "unplug", "leave": "leave"}

    async def connect(self) -> None:
        await self.join("machine")
        await self.accept()

    async def press(self, frame: Event) -> None:
        await self.send_event({"type": "pressed"})

    async def jam(self, frame: Event) -> None:
        raise Conflict("It is jammed.")

    async def unplug(self, frame: Event) -> None:
        raise OperationalError("disk I/O error: canary")

    async def leave(self, frame: Event) -> None:
        await self.close(4000)
        await self.close(4001)
        await self.send_event({"type": "pressed"})


async def machine() -> WebsocketCommunicator:
    socket = WebsocketCommunicator(Machine.as_asgi(), "/")
    assert await socket.connect() == (True, None)
    return socket


@pytest.mark.parametrize(
    ("command", "code", "detail"),
    [
        ("jam", "conflict", "It is jammed."),
        ("unplug", "database_unreachable", "The database does not answer. Try again in a moment."),
        ("explode", "invalid", "Unknown command."),
        ("connect", "invalid", "Unknown command."),
    ],
)
async def test_a_command_that_is_refused_is_answered_and_the_socket_stays(command: str, code: str, detail: str) -> None:
    socket = await machine()
    for client_id in ("a", 5, None):
        await socket.send_json_to({"type": command, "client_id": client_id})
        error = {"type": "error", "code": code, "detail": detail}
        assert await socket.receive_json_from() == ({**error, "client_id": "a"} if client_id == "a" else error)
    await socket.send_json_to({"type": "press"})
    assert await socket.receive_json_from() == {"type": "pressed"}
    await socket.disconnect()


async def test_a_socket_closes_once_and_is_silent_and_deaf_from_then_on() -> None:
    socket = await machine()
    await socket.send_json_to({"type": "leave"})
    await socket.send_json_to({"type": "press"})
    await publish("machine", {"type": "tick"})
    assert await socket.receive_output() == {"type": "websocket.close", "code": 4000}
    assert await socket.receive_nothing()
    await socket.disconnect()


async def test_a_socket_hears_its_group_until_it_closes() -> None:
    socket = await machine()
    await publish("machine", {"type": "tick"})
    assert await socket.receive_json_from() == {"type": "tick"}
    await socket.disconnect()
    await publish("machine", {"type": "tick"})
    assert await socket.receive_nothing()
