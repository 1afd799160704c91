"""Talking with the engine as its callers do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from apps.accounts.models import User
from apps.conversations import engine
from apps.conversations.models import Conversation, Message
from apps.core.database import in_database
from apps.core.realtime import Event, Subscription
from tests.scripted_model import PATIENCE

Ask = Callable[..., Awaitable[engine.Turn]]


@pytest.fixture
def conversation(alice: User) -> Conversation:
    return Conversation.objects.create(owner=alice)


@pytest.fixture
def ask(conversation: Conversation, running_engine: None) -> Ask:
    """Begin and launch a turn in alice's conversation."""

    async def begin_and_launch(content: str = "Hello?", **options: str) -> engine.Turn:
        turn = await in_database(engine.begin, conversation, content=content, **options)
        engine.launch(turn)
        return turn

    return begin_and_launch


async def stored(message: Message) -> Message:
    """The message as the database has it now."""
    return await in_database(Message.objects.get, pk=message.pk)


async def ended(turn: engine.Turn) -> Message:
    """The reply, once its turn is over."""
    async with asyncio.timeout(PATIENCE):
        await engine.finished(turn)
    return await stored(turn.reply)


async def until(subscription: Subscription, kind: str) -> Event:
    """The next event of this type."""
    async with asyncio.timeout(PATIENCE):
        while (event := await subscription.next())["type"] != kind:
            pass
    return event
