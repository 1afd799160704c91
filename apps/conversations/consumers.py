"""Sockets: a conversation as it is written, and a person's list of conversations. Parse, call the engine, pass events
on; nothing is generated here."""

from __future__ import annotations

from urllib.parse import parse_qs

from apps.accounts.sockets import NOT_FOUND, SignedInConsumer
from apps.conversations import engine
from apps.conversations.engine.events import (
    ConversationSnapshot,
    conversation_group,
    conversation_json,
    message_created,
    personal_group,
    terminal,
)
from apps.conversations.html_stream import HtmlStream
from apps.conversations.models import Conversation, Message
from apps.conversations.serializers import EditMessage, RegenerateMessage, SendMessage, validated
from apps.core.database import in_database
from apps.core.errors import NotFound
from apps.core.realtime import Event


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

    async def opened(self) -> bool:
        """Join first, read second: no event falls between the two."""
        self.conversation_id = self.scope["url_route"]["kwargs"]["conversation_id"]
        if parse_qs(self.scope["query_string"]).get(b"render") == [b"html"]:
            self._html = HtmlStream(self.send_event)
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
            await self.send_event({**event, "html": await self._html.end(event["message"])})
        else:
            await self.send_event(event)

    async def disconnect(self, code: int) -> None:
        """Nobody looks any more."""
        if self._html is not None:
            self._html.close()
        await super().disconnect(code)

    async def send_message(self, frame: Event) -> None:
        """`message.send`: the events of the turn reach this socket like every other."""
        command = validated(SendMessage, frame)
        # Whose it is was asked when the socket opened; `begin` reads the row again, or says that it is gone.
        conversation = Conversation(pk=self.conversation_id)
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
            await self.send_event({**frame, "blocks": await self._html.begin(streaming)})

    async def _on_delta(self, event: Event) -> None:
        message_id, seq = self._seen
        if event["message_id"] == message_id and event["seq"] <= seq:
            return
        self._seen = (event["message_id"], event["seq"])
        await self.send_event(event)
        if self._html is not None:
            self._html.take(event)

    async def _conversation(self) -> Conversation | None:
        return await in_database(Conversation.objects.opened_by, self.user, self.conversation_id)

    async def _message(self, message_id: int) -> Message:
        mine = Message.objects.visible_to(self.user).select_related("conversation", "parent")
        message = await in_database(mine.filter(pk=message_id, conversation_id=self.conversation_id).first)
        if message is None:
            raise NotFound
        return message


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
