"""Events from where things happen to whoever watches: groups on the channel layer, and the base of our sockets.

An event is a flat JSON object with a `type` such as `message.created`. Delivery is at most once and in order; whoever
must not miss anything joins the group first, reads the state second, and drops what the state already holds.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import async_to_sync
from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import BaseChannelLayer, InMemoryChannelLayer, get_channel_layer
from django.db import InterfaceError, OperationalError, transaction
from django.urls import path

from apps.core.errors import DatabaseUnreachable, GantryError, InvalidInput

if TYPE_CHECKING:
    from asgiref.typing import WebSocketConnectEvent

Event = Mapping[str, Any]

log = logging.getLogger(__name__)

# The loop that the sockets of this process live on; None until there is one to tell.
_loop: asyncio.AbstractEventLoop | None = None


async def publish(group: str, event: Event) -> None:
    """Send the event to everyone in the group, in every process that shares the channel layer.

    A layer that is away is logged, and nobody hears the event: what happened has happened, and state heals watchers.
    """
    try:
        await _layer().group_send(group, {"type": "relay", "event": dict(event)})
    except _layer_faults():
        log.exception("event=%s could not be published", event["type"])


def _layer() -> BaseChannelLayer:
    layer = get_channel_layer()
    assert layer is not None, "settings.CHANNEL_LAYERS names one"
    return layer


@cache
def _layer_faults() -> tuple[type[Exception], ...]:
    """What the channel layer raises when it is away; Redis is imported only where it is used."""
    if isinstance(_layer(), InMemoryChannelLayer):
        return (OSError,)
    from redis.exceptions import RedisError

    return (OSError, RedisError)


def announce(group: str, event: Event) -> None:
    """Publish from synchronous code, once the running transaction is committed; returns at once."""
    transaction.on_commit(partial(_announce_now, group, dict(event)))


def _announce_now(group: str, event: Event) -> None:
    if _loop is not None and not _loop.is_closed():
        asyncio.run_coroutine_threadsafe(publish(group, event), _loop)
    elif not isinstance(_layer(), InMemoryChannelLayer):
        async_to_sync(publish)(group, event)
    # Otherwise nobody in this process listens, and no other process can hear.


class Subscription:
    """The events of a group from the moment it was joined."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    async def next(self) -> Event:
        """The next event; may be cancelled without losing one."""
        return await self._events.get()

    async def pump(self, channel: str) -> None:
        """Carry events over from the channel layer, whose own `receive` must not be cancelled and tried again."""
        layer = _layer()
        while True:
            message = await layer.receive(channel)
            self._events.put_nowait(message["event"])


@asynccontextmanager
async def subscribe(group: str) -> AsyncGenerator[Subscription, None]:
    """Join the group for as long as the block runs."""
    _remember_loop()
    layer = _layer()
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    subscription = Subscription()
    pump = asyncio.create_task(subscription.pump(channel))
    try:
        yield subscription
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        await layer.group_discard(group, channel)


def _remember_loop() -> None:
    global _loop  # noqa: PLW0603 -- one loop a process
    _loop = asyncio.get_running_loop()


Command = Callable[[Any], Awaitable[None]]


class JsonConsumer(AsyncWebsocketConsumer):
    """A socket of JSON text frames: commands in, events out, refusals as `error` frames.

    Subclasses map a command's `type` to a coroutine method in `commands`, and call `join` before they read state.
    """

    commands: Mapping[str, str] = {}
    is_closed = False

    async def websocket_connect(self, message: WebSocketConnectEvent) -> None:
        """Remember the loop, so that synchronous code can reach its sockets."""
        _remember_loop()
        await super().websocket_connect(message)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Handle a frame or an event. Channels would first close old connections, by a trip to a thread for each."""
        handler: Command = getattr(self, get_handler_name(message))
        await handler(message)

    async def join(self, group: str) -> None:
        """Receive the group's events from now on; the group is left when the socket closes."""
        await self.channel_layer.group_add(group, self.channel_name)
        self.groups.append(group)

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        """Close, once. From now on nothing is sent, and what the client has sent meanwhile is not obeyed."""
        if not self.is_closed:
            self.is_closed = True
            await super().close(code, reason)

    async def send_event(self, event: Event) -> None:
        """Send one frame."""
        if not self.is_closed:
            await self.send(text_data=json.dumps(event))

    async def relay(self, message: Event) -> None:
        """Handler of the channel layer: an event of a group that was joined."""
        await self.on_event(message["event"])

    async def on_event(self, event: Event) -> None:
        """Pass an event on; subclasses filter or translate here."""
        await self.send_event(event)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Run one command. What is refused is answered with `error`, and the socket stays."""
        if self.is_closed:
            return
        frame: dict[str, Any] = {}
        try:
            frame = parse_frame(text_data)
            await self._command(frame)(frame)
        except GantryError as refusal:
            await self.send_event(error_frame(refusal, frame.get("client_id")))
        except (OperationalError, InterfaceError):
            log.exception("the database does not answer")
            await self.send_event(error_frame(DatabaseUnreachable(), frame.get("client_id")))

    def _command(self, frame: Event) -> Command:
        name = frame.get("type")
        method = self.commands.get(name) if isinstance(name, str) else None
        if method is None:
            raise InvalidInput("Unknown command.")
        return cast("Command", getattr(self, method))


def parse_frame(text: str | None) -> dict[str, Any]:
    """The JSON object in a text frame; raises `InvalidInput`."""
    try:
        frame = json.loads(text or "")
    except (ValueError, RecursionError):
        raise InvalidInput("A frame is a JSON object.") from None
    if not isinstance(frame, dict):
        raise InvalidInput("A frame is a JSON object.")
    return frame


def error_frame(refusal: GantryError, client_id: object) -> dict[str, object]:
    """The frame that says why a command was refused."""
    frame: dict[str, object] = {"type": "error", "code": refusal.code, "detail": refusal.detail}
    if isinstance(client_id, str):
        frame["client_id"] = client_id
    return frame


def socket_path(route: str, consumer: type[JsonConsumer]) -> Any:
    """An entry of an app's socket routes; the route is written as in Django's `path`."""
    return path(route, consumer.as_asgi())  # type: ignore[arg-type]  # django's types know views alone
