"""Editing and asking again make siblings; nothing that was said is overwritten."""

from __future__ import annotations

import pytest
from django.db import transaction

from apps.conversations import engine
from apps.conversations.models import Conversation, Message
from apps.core.database import in_database
from apps.core.errors import InvalidInput
from tests.conversations.conftest import Ask, ended
from tests.scripted_model import ScriptedModel

pytestmark = pytest.mark.django_db(transaction=True)


def _branch(conversation: Conversation) -> list[Message]:
    conversation.refresh_from_db()
    return conversation.branch(limit=100)[0]


async def shown(conversation: Conversation) -> list[str]:
    return [message.content for message in await in_database(_branch, conversation)]


async def launched(begin, message: Message, **options: str) -> Message:
    turn = await in_database(begin, message, **options)
    engine.launch(turn)
    return await ended(turn)


@pytest.fixture
async def first(ask: Ask, scripted_model: ScriptedModel) -> engine.Turn:
    """A finished first turn: question «one», reply «t1 »."""
    turn = await ask("one", model="say-1")
    await ended(turn)
    return turn


async def test_regenerating_makes_a_sibling_and_shows_it(first: engine.Turn, conversation: Conversation) -> None:
    again = await launched(engine.regenerate, first.reply, model="say-2")
    branch = await in_database(_branch, conversation)
    assert [message.content for message in branch] == ["one", "t1 t2 "]
    assert branch[1].siblings == [first.reply.pk, again.pk]
    assert branch[0].siblings == [first.question.pk]


async def test_editing_a_question_makes_a_branch_of_its_own(
    first: engine.Turn, ask: Ask, conversation: Conversation
) -> None:
    await ended(await ask("two", model="say-1"))
    edited = await launched(engine.edit, first.question, content="one, differently")
    branch = await in_database(_branch, conversation)
    assert branch[0].content == "one, differently"
    assert branch[0].siblings == [first.question.pk, edited.parent_id]
    assert len(branch) == 2


async def test_switching_back_shows_the_leaf_last_read_there(
    first: engine.Turn, ask: Ask, conversation: Conversation
) -> None:
    await ended(await ask("two", model="say-1"))
    edited = await launched(engine.edit, first.question, content="other")
    await in_database(conversation.refresh_from_db)

    await in_database(conversation.show, first.question)
    assert await shown(conversation) == ["one", "t1 ", "two", "t1 "]
    await in_database(conversation.show, await in_database(Message.objects.get, pk=edited.parent_id))
    assert (await shown(conversation))[0] == "other"


async def test_a_question_asked_on_another_branch_continues_that_one(
    first: engine.Turn, ask: Ask, conversation: Conversation
) -> None:
    again = await launched(engine.regenerate, first.reply, model="say-2")
    await in_database(conversation.refresh_from_db)
    await in_database(conversation.show, first.reply)
    await ended(await ask("two", model="say-1"))
    assert await shown(conversation) == ["one", "t1 ", "two", "t1 "]
    await in_database(conversation.refresh_from_db)
    await in_database(conversation.show, again)
    assert await shown(conversation) == ["one", "t1 t2 "]


async def test_the_model_reads_only_the_branch_it_answers_on(
    first: engine.Turn, ask: Ask, conversation: Conversation, scripted_model: ScriptedModel
) -> None:
    await ended(await ask("two", model="say-1"))
    await launched(engine.edit, first.question, content="other")
    prompt = scripted_model.chats[-1].body["messages"]
    assert [message["content"] for message in prompt[1:]] == ["other"]


async def test_a_reply_cannot_be_edited(first: engine.Turn) -> None:
    with pytest.raises(InvalidInput):
        await in_database(engine.edit, first.reply, content="I never said that")


async def test_nothing_branches_while_a_reply_is_written(
    first: engine.Turn, ask: Ask, scripted_model: ScriptedModel
) -> None:
    await ask("two", model="hold")
    with pytest.raises(engine.TurnInProgress):
        await in_database(engine.regenerate, first.reply)
    with pytest.raises(engine.TurnInProgress):
        await in_database(engine.edit, first.question, content="other")


async def test_a_repeated_regenerate_finds_its_reply(first: engine.Turn) -> None:
    again = await launched(engine.regenerate, first.reply, model="say-2", client_id="again")
    repeat = await in_database(engine.regenerate, first.reply, client_id="again")
    assert (repeat.is_repeat, repeat.reply.pk, repeat.question.pk) == (True, again.pk, first.question.pk)


def test_a_long_conversation_pages_upward_and_is_deleted_whole(conversation: Conversation) -> None:
    parent: Message | None = None
    with transaction.atomic():
        for number in range(1, 2001):
            parent = Message.objects.create(conversation=conversation, parent=parent, role="user", content=str(number))
    assert parent is not None
    conversation.show(parent)

    page, has_earlier = conversation.branch(limit=3)
    assert ([message.content for message in page], has_earlier) == (["1998", "1999", "2000"], True)
    page, has_earlier = conversation.branch(limit=3, before=page[0].pk)
    assert ([message.content for message in page], has_earlier) == (["1995", "1996", "1997"], True)
    first_id = Message.objects.order_by("pk")[2].pk
    page, has_earlier = conversation.branch(limit=3, before=first_id)
    assert ([message.content for message in page], has_earlier) == (["1", "2"], False)

    conversation.delete()
    assert not Message.objects.exists()
