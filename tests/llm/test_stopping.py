"""Closing or cancelling a stream closes the model server's connection at once; a finished one is used again."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing, suppress

from apps.llm.client import close_shared_client, shared_client
from apps.llm.events import TextDelta
from tests.llm.asking import HELLO, ask
from tests.scripted_model import ScriptedModel


async def test_closing_a_stream_closes_the_connection(scripted_model: ScriptedModel) -> None:
    async with aclosing(shared_client().stream(HELLO, model="hang-1")) as events:
        assert await anext(events) == TextDelta("t1 ")
        assert scripted_model.open == 1
    await scripted_model.until(lambda: (scripted_model.open, scripted_model.aborted) == (0, 1))


async def test_cancelling_closes_the_connection_while_text_is_awaited(scripted_model: ScriptedModel) -> None:
    await cancel_once_asked(scripted_model, "hang-0")


async def test_cancelling_closes_the_connection_before_there_are_headers(scripted_model: ScriptedModel) -> None:
    await cancel_once_asked(scripted_model, "mute")


async def cancel_once_asked(server: ScriptedModel, script: str) -> None:
    asking = asyncio.create_task(ask(script))
    await server.until(lambda: server.open == 1)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert asking.cancelled()
    await server.until(lambda: (server.open, server.aborted) == (0, 1))


async def test_a_finished_answer_leaves_its_connection_for_the_next(scripted_model: ScriptedModel) -> None:
    for _ in range(3):
        await ask("say-1")
    assert scripted_model.connections_made == 1
    assert scripted_model.finished == 3


async def test_many_answers_are_read_at_once_and_leave_no_more_than_ten_connections(
    scripted_model: ScriptedModel,
) -> None:
    asking = [asyncio.create_task(ask("hold")) for _ in range(30)]
    await scripted_model.until(lambda: scripted_model.open == 30)
    scripted_model.release(2)
    scripted_model.finish()
    assert all(len(events) == 4 for events in await asyncio.gather(*asking))
    await scripted_model.until(lambda: scripted_model.connections <= 10)


async def test_nothing_is_left_behind_after_many_stops(scripted_model: ScriptedModel) -> None:
    before = asyncio.all_tasks()
    for _ in range(10):
        async with aclosing(shared_client().stream(HELLO, model="hang-1")) as events:
            await anext(events)
    await close_shared_client()
    await scripted_model.until(lambda: (scripted_model.open, scripted_model.connections) == (0, 0))
    gc.collect()
    async with asyncio.timeout(5):
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left)
