"""Watching a turn: for whoever arrives late, and for whoever asked over HTTP and waits for the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from enum import Enum
from typing import cast

from apps.conversations.engine.begin import Turn
from apps.conversations.engine.events import (
    GenerationDelta,
    StreamingJSON,
    TerminalEvent,
    conversation_group,
    generation_delta,
    terminal,
)
from apps.conversations.engine.turn import CHECKPOINT_SECONDS, RunningTurn, running
from apps.conversations.models import Message, attach_siblings
from apps.core.database import in_database
from apps.core.errors import NotFound
from apps.core.realtime import Event, Subscription, subscribe

TERMINAL_TYPES = {"message.completed", "message.stopped", "message.failed"}
# A text written by another process is stored at most this late.
_CHECKPOINT_OVERDUE_SECONDS = CHECKPOINT_SECONDS + 0.2
# How often a watcher makes sure that the reply has not ended unheard.
_LOOK_SECONDS = 5.0


class Standing(Enum):
    """How a reply without an end stands."""

    STREAMING = "it is being written"
    GONE = "its conversation was deleted"


async def snapshot(conversation_id: int) -> StreamingJSON | None:
    """The reply being written: its text so far and the number of the last delta in it, or None.

    Join the conversation's group first; then drop deltas up to `seq`. Of a turn in another process it waits for the
    next stored text, so that nothing lies between the snapshot and the deltas that follow.
    """
    here = running(conversation_id)
    if here is not None:
        return _streaming(here)
    if await in_database(_stored, conversation_id) is None:
        return None
    await asyncio.sleep(_CHECKPOINT_OVERDUE_SECONDS)
    return await in_database(_stored, conversation_id)


def _streaming(here: RunningTurn) -> StreamingJSON:
    return {"message_id": here.reply.pk, "seq": len(here.deltas), "text": here.text}


def _stored(conversation_id: int) -> StreamingJSON | None:
    reply = Message.objects.streaming().filter(conversation_id=conversation_id).first()
    return None if reply is None else {"message_id": reply.pk, "seq": reply.seq, "text": reply.content}


async def follow(turn: Turn) -> AsyncGenerator[GenerationDelta | TerminalEvent, None]:
    """The deltas of a turn, from the first, and its terminal event. A turn that ran ahead, runs elsewhere or is over
    begins with one delta that holds its text so far. Without a terminal event, the conversation was deleted."""
    reply_id = turn.reply.pk
    async with subscribe(conversation_group(turn.conversation.pk)) as subscription:
        seq = length = 0
        for delta in await _so_far(turn):
            seq, length = delta["seq"], length + len(delta["text"])
            yield delta
        stored = await in_database(_stored_end, reply_id)
        while stored is Standing.STREAMING:
            event = await _next(subscription)
            if event is None:
                stored = await in_database(_stored_end, reply_id)
            elif event["type"] == "conversation.deleted":
                return
            elif event["type"] == "generation.delta" and event["message_id"] == reply_id and event["seq"] > seq:
                seq, length = event["seq"], length + len(event["text"])
                yield cast("GenerationDelta", event)
            elif event["type"] in TERMINAL_TYPES and event["message"]["id"] == reply_id:
                yield cast("TerminalEvent", event)
                return
        if isinstance(stored, Standing):
            return
        # It ended while nobody read here: what was not shown yet comes in one.
        if rest := stored["message"]["content"][length:]:
            yield generation_delta(reply_id, seq + 1, rest)
        yield stored


async def finished(turn: Turn) -> TerminalEvent:
    """The turn's terminal event, once it is there. Raises `NotFound` when the conversation was deleted meanwhile."""
    async for event in follow(turn):
        if event["type"] in TERMINAL_TYPES:
            return cast("TerminalEvent", event)
    raise NotFound


async def _next(subscription: Subscription) -> Event | None:
    """The next event, or None when it is time to look whether the reply ended unheard."""
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            return await subscription.next()
    except TimeoutError:
        return None


async def _so_far(turn: Turn) -> list[GenerationDelta]:
    here = running(turn.conversation.pk)
    if here is not None and here.reply.pk == turn.reply.pk:
        return [generation_delta(turn.reply.pk, seq, text) for seq, text in enumerate(here.deltas, start=1)]
    streaming = await snapshot(turn.conversation.pk)
    if streaming is not None and streaming["message_id"] == turn.reply.pk:
        text, seq = streaming["text"], streaming["seq"]
    else:
        text, seq = await in_database(_content, turn.reply.pk)
    return [generation_delta(turn.reply.pk, seq, text)] if text else []


def _content(reply_id: int) -> tuple[str, int]:
    return Message.objects.filter(pk=reply_id).values_list("content", "seq").first() or ("", 0)


def _stored_end(reply_id: int) -> TerminalEvent | Standing:
    reply = Message.objects.filter(pk=reply_id).first()
    if reply is None:
        return Standing.GONE
    if reply.status == Message.Status.STREAMING:
        return Standing.STREAMING
    attach_siblings([reply])
    return terminal(reply)
