"""A running turn: ask the model, number and publish what it says, keep the text, end it once.

Text is published at once when it is the first, later at most every 50 ms, merged, and less often while many turns run.
One writer for the whole process stores the texts of all turns that changed, every 400 ms, in one transaction; it also
notices replies that were asked to stop in another process, or whose row is gone. The end is a compare-and-set: a turn
that slept through its own end changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import aclosing
from contextvars import Context
from dataclasses import asdict
from enum import Enum

from asgiref.sync import async_to_sync
from django.db import Error as DatabaseError
from django.db import transaction

from apps.conversations.engine import boots, context, memories
from apps.conversations.engine.begin import Turn
from apps.conversations.engine.events import (
    TerminalEvent,
    conversation_group,
    generation_delta,
    message_created,
    terminal,
    turn_started,
)
from apps.conversations.models import Message
from apps.core.database import in_database
from apps.core.errors import GantryError
from apps.core.realtime import publish
from apps.llm.client import shared_client
from apps.llm.errors import LLMError
from apps.llm.events import TextDelta, UsageReported

log = logging.getLogger(__name__)

FRAME_SECONDS = 0.05
# With many turns at once frames are further apart, up to a fifth of a second, so that all of them keep up.
FRAME_SECONDS_PER_TURN = 0.002
MAX_FRAME_SECONDS = 0.2
CHECKPOINT_SECONDS = 0.4
STORE_AGAIN_SECONDS = 1.0


class Ending(Enum):
    """Why a turn is ended from outside."""

    STOPPED = "a person stopped it"
    SHUTDOWN = "the server goes down in good order"
    ABANDONED = "its row is gone, or was ended elsewhere"


class ShutDown(GantryError):
    """The server went down in good order while the reply was being written."""

    code = "shutdown"
    status = 503
    detail = "[Error: The server was stopped while this was being written. What had arrived is kept.]"


class InternalFault(GantryError):
    """A fault of ours; the log has it."""

    code = "internal"
    status = 500
    detail = "[Error: Something went wrong in Nebulus Gantry itself. The log says what.]"


class RunningTurn:
    """A turn whose reply this process writes."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.reply = turn.reply
        self.group = conversation_group(turn.conversation.pk)
        # What was published, in order: delta `n` is deltas[n - 1].
        self.deltas: list[str] = []
        self.stored_seq = 0
        self.loop = asyncio.get_running_loop()
        self.task: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ending: Ending | None = None
        self._pending: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._last_frame = 0.0
        self._asked = time.perf_counter()
        self._first_token_ms: int | None = None
        self._usage: dict[str, int] | None = None

    @property
    def text(self) -> str:
        """What was published so far."""
        return "".join(self.deltas)

    async def run(self) -> None:
        """The turn from beginning to end."""
        try:
            status, error = await self._outcome()
            await self._flush_all()
            event = await self._store_end(status, error)
        finally:
            if _running.get(self.turn.conversation.pk) is self:
                del _running[self.turn.conversation.pk]
        if event is not None:
            await publish(self.group, event)

    def end(self, why: Ending) -> None:
        """Cancel the reading, which closes the model server's stream; `run` then stores the end. Loop thread only."""
        if self._ending is None:
            self._ending = why
            if self._reader is not None:
                self._reader.cancel()

    async def _announce(self) -> None:
        if not self.turn.is_regenerated:
            await publish(self.group, message_created(self.turn.question))
        await publish(self.group, message_created(self.reply))

    async def _outcome(self) -> tuple[Message.Status, GantryError | None]:
        self._reader = asyncio.create_task(self._read())
        if self._ending is not None:
            self._reader.cancel()
        try:
            await self._reader
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            return self._ended()
        except LLMError as error:
            log.warning("reply=%d code=%s after=%d deltas", self.reply.pk, error.code, len(self.deltas))
            return self._broken(), error
        except Exception:
            # Whatever went wrong, the reply must not stay `streaming` for as long as this process lives.
            log.exception("reply=%d failed", self.reply.pk)
            return self._broken(), InternalFault()
        return Message.Status.COMPLETE, None

    def _ended(self) -> tuple[Message.Status, GantryError | None]:
        if self._ending is Ending.SHUTDOWN:
            return self._broken(), ShutDown()
        return Message.Status.STOPPED, None

    def _broken(self) -> Message.Status:
        return Message.Status.INTERRUPTED if self.deltas or self._pending else Message.Status.FAILED

    async def _read(self) -> None:
        await self._announce()
        prompt = context.render(await context.gather(self.turn))
        self.reply.model, self.reply.sources, self.reply.degraded = prompt.model, prompt.sources, prompt.degraded
        await publish(self.group, turn_started(self.reply))
        self._asked = time.perf_counter()
        stream = shared_client().stream(prompt.messages, model=prompt.model)
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    self._take(event.text)
                elif isinstance(event, UsageReported):
                    self._usage = asdict(event)

    def _take(self, text: str) -> None:
        if self._first_token_ms is None:
            self._first_token_ms = self._milliseconds()
        self._pending.append(text)
        if self._timer is None:
            wait = self._last_frame + frame_seconds() - self.loop.time()
            if wait <= 0:
                self._flush()
            else:
                self._timer = self.loop.call_later(wait, self._flush)

    def _flush(self) -> None:
        """Publish what is pending as one delta, behind those that are still under way."""
        self._timer = None
        text = "".join(self._pending)
        self._pending.clear()
        self.deltas.append(text)
        self._last_frame = self.loop.time()
        event = generation_delta(self.reply.pk, len(self.deltas), text)
        self._sending = asyncio.create_task(_publish_after(self._sending, self.group, event))

    async def _flush_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._pending:
            self._flush()
        if self._sending is not None:
            await self._sending

    async def _store_end(self, status: Message.Status, error: GantryError | None) -> TerminalEvent | None:
        """Store the end, however long the database is away; None when it was ended elsewhere."""
        while True:
            try:
                return await in_database(self._finish, status, error)
            except DatabaseError:
                log.exception("reply=%d cannot be stored; trying again", self.reply.pk)
            await asyncio.sleep(STORE_AGAIN_SECONDS)

    def _finish(self, status: Message.Status, error: GantryError | None) -> TerminalEvent | None:
        with transaction.atomic():
            finished = self.reply.finish(
                status,
                content=self.text,
                seq=len(self.deltas),
                model=self.reply.model,
                sources=self.reply.sources,
                degraded=self.reply.degraded,
                usage=self._usage,
                error_code=error.code if error else "",
                error_detail=error.detail if error else "",
                time_to_first_token_ms=self._first_token_ms,
                generation_time_ms=self._milliseconds(),
            )
            if finished:
                memories.remember_reply(self.reply)
        return terminal(self.reply) if finished else None

    def _milliseconds(self) -> int:
        return round((time.perf_counter() - self._asked) * 1000)


def frame_seconds() -> float:
    """How far apart the frames of a turn are, given how many turns this process runs."""
    return max(FRAME_SECONDS, min(MAX_FRAME_SECONDS, FRAME_SECONDS_PER_TURN * len(_running)))


async def _publish_after(previous: asyncio.Task[None] | None, group: str, event: Mapping[str, object]) -> None:
    if previous is not None:
        await previous
    await publish(group, event)


# The turns of this process, by conversation, and the task that stores their texts.
_running: dict[int, RunningTurn] = {}
_writer: asyncio.Task[None] | None = None


def running(conversation_id: int) -> RunningTurn | None:
    """The turn that this process runs in the conversation, if it does."""
    return _running.get(conversation_id)


def running_here() -> list[int]:
    """The ids of the replies that this process writes."""
    return [each.reply.pk for each in list(_running.values())]


def launch(turn: Turn) -> None:
    """Write the reply in a task of its own; returns at once. A repeat is under way already, or over."""
    if turn.is_repeat:
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(_launch)(turn)
    else:
        _start(turn)


async def _launch(turn: Turn) -> None:
    _start(turn)


def _start(turn: Turn) -> None:
    global _writer  # noqa: PLW0603 -- one writer a process
    running_turn = RunningTurn(turn)
    _running[turn.conversation.pk] = running_turn
    # A context of its own: the request's would take its executor, and with it the database, away when it ends.
    running_turn.task = running_turn.loop.create_task(running_turn.run(), context=Context())
    if _writer is None or _writer.done():
        _writer = running_turn.loop.create_task(_write(), context=Context())


def stop(conversation_id: int) -> bool:
    """End the conversation's running turn, wherever it runs; False when there is none. Synchronous, any thread.

    In this process the model server's stream closes at once; elsewhere within the writer's 400 ms.
    """
    reply = Message.objects.streaming().filter(conversation_id=conversation_id).first()
    if reply is None or not reply.request_stop():
        return False
    here = _running.get(conversation_id)
    if here is not None and here.reply.pk == reply.pk:
        here.loop.call_soon_threadsafe(here.end, Ending.STOPPED)
    return True


async def shutdown() -> None:
    """End every turn of this process in good order: texts and statuses are stored when this returns."""
    turns = list(_running.values())
    for each in turns:
        each.end(Ending.SHUTDOWN)
    await asyncio.gather(*(each.task for each in turns if each.task is not None), return_exceptions=True)


async def _write() -> None:
    while _running:
        await asyncio.sleep(CHECKPOINT_SECONDS)
        turns = list(_running.values())
        try:
            await _checkpoint(turns)
        except DatabaseError:
            log.exception("texts cannot be stored; trying again")


async def _checkpoint(turns: list[RunningTurn]) -> None:
    changed = {each.reply.pk: (each.text, len(each.deltas)) for each in turns if each.stored_seq < len(each.deltas)}
    stop_requested = await in_database(_store, changed, [each.reply.pk for each in turns])
    for each in turns:
        _, each.stored_seq = changed.get(each.reply.pk, ("", each.stored_seq))
        if each.reply.pk not in stop_requested:
            each.end(Ending.ABANDONED)
        elif stop_requested[each.reply.pk]:
            each.end(Ending.STOPPED)


def _store(texts: dict[int, tuple[str, int]], ids: list[int]) -> dict[int, bool]:
    """Store the texts; of the given replies, those still streaming, and whether each was asked to stop."""
    with transaction.atomic():
        boots.this_boot().beat()
        Message.objects.checkpoint(texts)
        rows = Message.objects.streaming().filter(pk__in=ids).values_list("pk", "stop_requested_at")
        return {pk: at is not None for pk, at in rows}
