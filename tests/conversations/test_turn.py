"""One reply from question to answer, and everyone who watches it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import TypeVar

import pytest
from django.db import connection
from django.utils import timezone

from apps.conversations import engine
from apps.conversations.engine.events import conversation_group
from apps.conversations.models import Boot, Conversation, Message
from apps.core.database import in_database
from apps.core.realtime import subscribe
from tests.conversations.conftest import Ask, ended, stored, until
from tests.scripted_model import AWKWARD_TEXT, ScriptedModel, tokens

pytestmark = pytest.mark.django_db(transaction=True)

T = TypeVar("T")


async def test_a_reply_is_written_published_and_stored_whole(ask: Ask, scripted_model: ScriptedModel) -> None:
    turn = await ask("What is Python?", model="say-200")
    events = [event async for event in engine.follow(turn)]
    reply = await stored(turn.reply)

    deltas = [event for event in events if event["type"] == "generation.delta"]
    assert "".join(delta["text"] for delta in deltas) == tokens(200)
    assert [delta["seq"] for delta in deltas] == list(range(1, len(deltas) + 1))
    assert events[-1]["type"] == "message.completed"
    assert events[-1]["message"]["content"] == reply.content == tokens(200)
    assert (reply.status, reply.model) == ("complete", "say-200")
    assert reply.usage == {"prompt_tokens": 7, "completion_tokens": 200, "total_tokens": 207}
    assert reply.time_to_first_token_ms is not None
    assert reply.generation_time_ms is not None
    assert reply.time_to_first_token_ms <= reply.generation_time_ms


async def test_awkward_text_arrives_byte_for_byte(ask: Ask, scripted_model: ScriptedModel) -> None:
    assert (await ended(await ask(model="unicode"))).content == AWKWARD_TEXT


async def test_the_first_token_is_published_while_the_model_still_writes(
    ask: Ask, scripted_model: ScriptedModel, conversation: Conversation
) -> None:
    async with subscribe(conversation_group(conversation.pk)) as watcher:
        turn = await ask(model="hold")
        scripted_model.release(1)
        assert (await until(watcher, "generation.delta"))["text"] == "t1 "
        assert (await stored(turn.reply)).status == "streaming"
        scripted_model.finish()
        await until(watcher, "message.completed")


async def test_tokens_in_quick_succession_are_merged(ask: Ask, scripted_model: ScriptedModel) -> None:
    events = [event async for event in engine.follow(await ask(model="say-1000"))]
    assert len(events) < 100


async def test_the_text_so_far_is_stored_within_half_a_second(ask: Ask, scripted_model: ScriptedModel) -> None:
    turn = await ask(model="hang-3")
    async with asyncio.timeout(2), aclosing(engine.follow(turn)) as events:
        text = ""
        async for event in events:
            text += event["text"]
            if text == tokens(3):
                break
        shown_at = asyncio.get_running_loop().time()
        while (await stored(turn.reply)).content != text:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # a store is not announced
    assert asyncio.get_running_loop().time() - shown_at < 0.6


async def test_stopping_keeps_every_word_and_closes_the_model_servers_stream(
    ask: Ask, scripted_model: ScriptedModel, conversation: Conversation
) -> None:
    async with subscribe(conversation_group(conversation.pk)) as watcher:
        turn = await ask(model="hang-3")
        text = ""
        while text != tokens(3):
            text += (await until(watcher, "generation.delta"))["text"]
        assert await in_database(engine.stop, conversation.pk) is True
        event = await until(watcher, "message.stopped")
    await scripted_model.until(lambda: scripted_model.aborted == 1)

    assert event["message"]["content"] == tokens(3)
    reply = await stored(turn.reply)
    assert (reply.status, reply.content, reply.error_code) == ("stopped", tokens(3), "")


async def test_stopping_when_nothing_runs_changes_nothing(
    ask: Ask, scripted_model: ScriptedModel, conversation: Conversation
) -> None:
    reply = await ended(await ask(model="say-1"))
    assert await in_database(engine.stop, conversation.pk) is False
    assert (await stored(reply)).status == "complete"


async def test_a_stop_before_the_first_word_leaves_an_empty_stopped_reply(
    ask: Ask, scripted_model: ScriptedModel, conversation: Conversation
) -> None:
    turn = await ask(model="mute")
    await in_database(engine.stop, conversation.pk)
    reply = await ended(turn)
    assert (reply.status, reply.content) == ("stopped", "")


async def test_a_stop_asked_for_in_another_process_is_heard(
    ask: Ask, scripted_model: ScriptedModel, conversation: Conversation
) -> None:
    turn = await ask(model="hang-1")
    await in_database(turn.reply.request_stop)
    assert (await ended(turn)).status == "stopped"


async def test_whoever_arrives_late_sees_the_text_so_far_and_then_the_rest(
    ask: Ask, scripted_model: ScriptedModel, conversation: Conversation
) -> None:
    async with subscribe(conversation_group(conversation.pk)) as early:
        turn = await ask(model="hold")
        scripted_model.release(3)
        text = ""
        while text != tokens(3):
            text += (await until(early, "generation.delta"))["text"]

    async with subscribe(conversation_group(conversation.pk)) as late:
        so_far = await engine.snapshot(conversation.pk)
        assert so_far is not None
        assert so_far["message_id"] == turn.reply.pk
        assert so_far["text"] == tokens(3)
        scripted_model.release(1)
        delta = await until(late, "generation.delta")
        assert (delta["seq"], delta["text"]) == (so_far["seq"] + 1, "t4 ")
        scripted_model.finish()
        await until(late, "message.completed")
    assert await engine.snapshot(conversation.pk) is None


async def test_a_turn_that_ends_while_its_follower_dawdles_is_still_shown_whole(
    ask: Ask, scripted_model: ScriptedModel, conversation: Conversation
) -> None:
    async with subscribe(conversation_group(conversation.pk)) as watcher:
        turn = await ask(model="hold")
        scripted_model.release(1)
        await until(watcher, "generation.delta")
        async with aclosing(engine.follow(turn)) as events:
            text = (await anext(events))["text"]
            scripted_model.release(4)
            scripted_model.finish()
            await until(watcher, "message.completed")
            rest = [event async for event in events]
    assert text + "".join(event["text"] for event in rest[:-1]) == rest[-1]["message"]["content"] == tokens(5)


async def test_following_a_turn_that_is_over_gives_its_text_and_its_end(
    ask: Ask, scripted_model: ScriptedModel
) -> None:
    turn = await ask(model="say-5")
    await ended(turn)
    delta, end = [event async for event in engine.follow(turn)]
    assert delta["text"] == end["message"]["content"] == tokens(5)


async def test_two_turns_at_once_in_one_conversation_are_refused(ask: Ask, scripted_model: ScriptedModel) -> None:
    await ask(model="hold")
    with pytest.raises(engine.TurnInProgress):
        await ask("Another one")
    assert await in_database(Message.objects.count) == 2


async def test_fifty_sends_at_one_instant_make_one_turn(
    conversation: Conversation, scripted_model: ScriptedModel, running_engine: None
) -> None:
    def begin() -> engine.Turn | None:
        try:
            return engine.begin(conversation, content="Hello?", model="hold")
        except engine.TurnInProgress:
            return None

    turns = await asyncio.gather(*(asyncio.to_thread(_with_own_connection, begin) for _ in range(50)))
    assert len([turn for turn in turns if turn]) == 1
    assert await in_database(Message.objects.count) == 2


async def test_a_repeated_client_id_finds_the_stored_pair_and_asks_the_model_once(
    ask: Ask, scripted_model: ScriptedModel
) -> None:
    first = await ask("Hello?", model="hold", client_id="one")
    again = await ask("Something else", model="hold", client_id="one")
    assert (again.question.pk, again.reply.pk, again.is_repeat) == (first.question.pk, first.reply.pk, True)
    await scripted_model.until(lambda: scripted_model.open == 1)
    scripted_model.finish()
    assert (await ended(again)).status == "complete"
    once_more = await ask("Hello?", client_id="one")
    assert (await ended(once_more)).pk == first.reply.pk
    assert await in_database(Message.objects.count) == 2
    assert len(scripted_model.chats) == 1


async def test_fifty_retries_of_one_send_make_one_pair(
    conversation: Conversation, scripted_model: ScriptedModel, running_engine: None
) -> None:
    def begin() -> engine.Turn:
        return engine.begin(conversation, content="Hello?", model="say-1", client_id="same")

    turns = await asyncio.gather(*(asyncio.to_thread(_with_own_connection, begin) for _ in range(50)))
    assert len({turn.reply.pk for turn in turns}) == 1
    assert [turn.is_repeat for turn in turns].count(False) == 1


async def test_fifty_retries_after_a_crash_make_one_pair(
    conversation: Conversation, scripted_model: ScriptedModel, running_engine: None
) -> None:
    def begin() -> engine.Turn:
        return engine.begin(conversation, content="Hello?", model="say-1", client_id="same")

    left_behind = await in_database(_left_behind, conversation)
    turns = await asyncio.gather(*(asyncio.to_thread(_with_own_connection, begin) for _ in range(50)))
    assert len({turn.reply.pk for turn in turns}) == 1
    assert [turn.is_repeat for turn in turns].count(False) == 1
    assert (await stored(left_behind)).error_code == "crashed"


async def test_deleting_the_conversation_ends_its_turn(
    ask: Ask, scripted_model: ScriptedModel, conversation: Conversation
) -> None:
    turn = await ask(model="hang-2")
    await scripted_model.until(lambda: scripted_model.open == 1)
    await in_database(conversation.delete)
    await scripted_model.until(lambda: scripted_model.aborted == 1)
    assert {event["type"] async for event in engine.follow(turn)} <= {"generation.delta"}


async def test_an_orderly_shutdown_stores_every_word(ask: Ask, scripted_model: ScriptedModel) -> None:
    turn = await ask(model="hang-3")
    async with aclosing(engine.follow(turn)) as events:
        text = ""
        async for event in events:
            text += event["text"]
            if text == tokens(3):
                break
    await engine.shutdown()
    reply = await stored(turn.reply)
    assert (reply.status, reply.content, reply.error_code) == ("interrupted", tokens(3), "shutdown")


def _left_behind(conversation: Conversation) -> Message:
    """The reply of a process that is gone."""
    gone = Boot.objects.create(pk="gone", beat_at=timezone.now() - timedelta(minutes=1))
    question = conversation.ask("Anybody there?", parent_id=None)
    reply = question.begin_reply(model="", boot=gone)
    conversation.advance(reply, question=question)
    return reply


def _with_own_connection(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        connection.close()
