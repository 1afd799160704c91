"""Sockets: a conversation as it is written, and a person's list of conversations. Parse, call the engine, pass events
on; nothing is generated here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from apps.accounts.sockets import NOT_FOUND, SignedInConsumer
from apps.conversations import engine
from apps.conversations.engine.events import (
    ConversationSnapshot,
    StreamingJSON,
    conversation_group,
    conversation_json,
    message_created,
    personal_group,
    terminal,
)
from apps.conversations.models import Conversation, Message
from apps.conversations.serializers import EditMessage, RegenerateMessage, SendMessage, validated
from apps.core.database import in_database
from apps.core.errors import NotFound
from apps.core.markdown import Block, StreamRenderer, render
from apps.core.realtime import Event

# Rendering takes at most this share of the loop's time for one socket.
_RENDER_SHARE = 0.1


class ConversationConsumer(SignedInConsumer):
    """`/ws/conversations/{id}/`; with `?render=html` it also carries the safe HTML of what is said."""

    commands = {
        "message.send": "send_message",
        "message.regenerate": "regenerate_message",
        "message.edit": "edit_message",
        "turn.stop": "stop_turn",
        "ping": "pong",
    }

    conversation_id: int
    _seen: tuple[int, int] = (0, 0)
    _html: HtmlStream | None = None
    _later: asyncio.Task[None] | None = None

    async def opened(self) -> bool:
        """Join first, read second: no event falls between the two."""
        self.conversation_id = self.scope["url_route"]["kwargs"]["conversation_id"]
        if parse_qs(self.scope["query_string"]).get(b"render") == [b"html"]:
            self._html = HtmlStream()
        if await self._conversation() is None:
            return False
        await self.join(conversation_group(self.conversation_id))
        conversation = await self._conversation()
        if conversation is not None:
            await self._send_snapshot(conversation)
        return conversation is not None

    async def on_event(self, event: Event) -> None:
        """Pass an event on, unless the snapshot already held it."""
        kind = event["type"]
        if kind == "conversation.deleted":
            await self.close(NOT_FOUND)
        elif kind == "generation.delta":
            await self._on_delta(event)
        elif "message" in event and kind != "message.created" and self._html is not None:
            await self.send_event({**event, "html": self._html.end(event["message"])})
        else:
            await self.send_event(event)

    async def disconnect(self, code: int) -> None:
        """Nobody looks any more."""
        if self._later is not None:
            self._later.cancel()
        await super().disconnect(code)

    async def send_message(self, frame: Event) -> None:
        """`message.send`: the events of the turn reach this socket like every other."""
        command = validated(SendMessage, frame)
        conversation = await self._conversation()
        if conversation is None:
            raise NotFound
        await self._launch(await in_database(engine.begin, conversation, **command))

    async def edit_message(self, frame: Event) -> None:
        """`message.edit`."""
        command = validated(EditMessage, frame)
        message = await self._message(command.pop("message_id"))
        await self._launch(await in_database(engine.edit, message, **command))

    async def regenerate_message(self, frame: Event) -> None:
        """`message.regenerate`."""
        command = validated(RegenerateMessage, frame)
        message = await self._message(command.pop("message_id"))
        await self._launch(await in_database(engine.regenerate, message, **command))

    async def stop_turn(self, frame: Event) -> None:
        """`turn.stop`; nothing happens when nothing runs."""
        if await self._conversation() is None:
            raise NotFound
        await in_database(engine.stop, self.conversation_id)

    async def pong(self, frame: Event) -> None:
        """`ping`."""
        await self.send_event({"type": "pong"})

    async def _launch(self, turn: engine.Turn) -> None:
        if turn.is_repeat:
            await self._replay(turn)
        else:
            engine.launch(turn)

    async def _replay(self, turn: engine.Turn) -> None:
        """Answer a repeated send with the stored pair, and with where its reply stands."""
        if not turn.is_regenerated:
            await self.send_event(message_created(turn.question))
        await self.send_event(message_created(turn.reply))
        if turn.reply.status == Message.Status.STREAMING:
            await self._send_snapshot(turn.conversation)
        else:
            await self.on_event(terminal(turn.reply))

    async def _send_snapshot(self, conversation: Conversation) -> None:
        streaming = await engine.snapshot(conversation.pk)
        frame: ConversationSnapshot = {
            "type": "conversation.snapshot",
            "conversation": conversation_json(conversation),
            "streaming": streaming,
        }
        self._seen = (streaming["message_id"], streaming["seq"]) if streaming else (0, 0)
        if self._html is None:
            await self.send_event(frame)
        else:
            await self.send_event({**frame, "blocks": self._html.begin(streaming)})

    async def _on_delta(self, event: Event) -> None:
        message_id, seq = self._seen
        if event["message_id"] == message_id and event["seq"] <= seq:
            return
        self._seen = (event["message_id"], event["seq"])
        await self.send_event(event)
        if self._html is not None:
            self._html.take(event)
            await self._render()

    async def _render(self) -> None:
        """Send what changed; when it is too early for that, come back."""
        assert self._html is not None
        wait = self._html.seconds_to_wait()
        if wait <= 0:
            for frame in self._html.changes():
                await self.send_event(frame)
        elif self._later is None or self._later.done():
            self._later = asyncio.create_task(self._render_in(wait))

    async def _render_in(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._later = None
        await self._render()

    async def _conversation(self) -> Conversation | None:
        mine = Conversation.objects.visible_to(self.user)
        return await in_database(mine.filter(pk=self.conversation_id).first)

    async def _message(self, message_id: int) -> Message:
        mine = Message.objects.visible_to(self.user).select_related("conversation", "parent")
        message = await in_database(mine.filter(pk=message_id, conversation_id=self.conversation_id).first)
        if message is None:
            raise NotFound
        return message


class HtmlStream:
    """The safe HTML of the reply being written, block by block, as one socket has been sent it."""

    def __init__(self) -> None:
        self._message_id = 0
        self._renderer = StreamRenderer()
        self._waiting = ""
        self._next_at = 0.0

    def begin(self, streaming: StreamingJSON | None) -> list[dict[str, object]]:
        """The blocks so far."""
        self._start(streaming["message_id"] if streaming else 0)
        return [block_json(block) for block in self._renderer.feed(streaming["text"])] if streaming else []

    def take(self, delta: Event) -> None:
        """More text."""
        if delta["message_id"] != self._message_id:
            self._start(delta["message_id"])
        self._waiting += delta["text"]

    def seconds_to_wait(self) -> float:
        """How long it is too early to render again."""
        return self._next_at - time.perf_counter()

    def changes(self) -> list[dict[str, object]]:
        """A frame for each block that the text taken since the last time changed."""
        if not self._waiting:
            return []
        started = time.perf_counter()
        blocks = self._renderer.feed(self._waiting)
        ended = time.perf_counter()
        self._waiting, self._next_at = "", ended + (ended - started) / _RENDER_SHARE
        return [{"type": "message.rendered", "message_id": self._message_id, **block_json(block)} for block in blocks]

    def end(self, message: Mapping[str, Any]) -> str:
        """The whole, which replaces every block. It need not be the reply that is being written."""
        if message["id"] == self._message_id:
            self._start(0)
        return render(message["content"])

    def _start(self, message_id: int) -> None:
        self._message_id, self._renderer = message_id, StreamRenderer()
        self._waiting, self._next_at = "", 0.0


def block_json(block: Block) -> dict[str, object]:
    """A block as it goes over the wire; `start` and `end` count the text's characters."""
    return {"block": block.index, "start": block.start, "end": block.end, "html": block.html}


class PersonalConsumer(SignedInConsumer):
    """`/ws/me/`: a person's own pages hear of conversations made, changed and deleted."""

    commands = {"ping": "pong"}

    async def opened(self) -> bool:
        """There is always something here for whoever is signed in."""
        await self.join(personal_group(self.user.pk))
        return True

    async def pong(self, frame: Event) -> None:
        """`ping`."""
        await self.send_event({"type": "pong"})
