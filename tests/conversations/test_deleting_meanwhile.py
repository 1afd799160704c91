"""Whatever door a conversation is deleted through, what is said in it at that very moment goes along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from apps.accounts.models import User
from apps.conversations import engine
from apps.conversations.engine.memories import remember_reply, thread_of
from apps.conversations.models import Conversation, Message
from apps.memory.models import Recollection
from apps.memory.recall import forget_all, forget_thread

pytestmark = pytest.mark.django_db(transaction=True)

DOORS: dict[str, Callable[[Conversation], object]] = {
    "the conversation": lambda conversation: conversation.delete(),
    "a list of conversations": lambda conversation: Conversation.objects.filter(pk=conversation.pk).delete(),
    "the account": lambda conversation: conversation.owner.delete(),
    "a list of accounts": lambda conversation: User.objects.filter(pk=conversation.owner_id).delete(),
}


@contextmanager
def just_before_it_writes(call: Callable[[], object]) -> Iterator[None]:
    """Somebody else makes this call when what runs in the block has looked, and is about to lock or change rows."""
    calls = [call]

    def watch(execute: Callable[..., object], sql: str, *rest: Any) -> object:
        if calls and (sql.startswith(("BEGIN", "DELETE", "UPDATE")) or "FOR UPDATE" in sql):
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(_with_own_connection, calls.pop()).result()
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        yield
    assert not calls


@contextmanager
def in_its_turn(call: Callable[[], object]) -> Iterator[None]:
    """Somebody else makes this call while the block's transaction is open, and gets what it needs when that ended."""
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            yield
            made = elsewhere.submit(_with_own_connection, call)
            while connection.vendor == "postgresql" and not _somebody_waits():
                assert not made.done()
        made.result()


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() != (0,)


def _with_own_connection(call: Callable[[], object]) -> None:
    try:
        call()
    finally:
        connection.close()


@pytest.mark.parametrize("delete", DOORS.values(), ids=DOORS)
def test_what_is_asked_meanwhile_goes_along(conversation: Conversation, delete: Callable[[Conversation], Any]) -> None:
    engine.begin(conversation, content="Anna plays the cello.").reply.finish(Message.Status.COMPLETE)
    with just_before_it_writes(lambda: engine.begin(conversation, content="Tom lives in Lisbon.")):
        delete(conversation)
    assert [rows.objects.count() for rows in (Conversation, Message, Recollection)] == [0, 0, 0]


FORGETTING: dict[str, Callable[[Conversation], object]] = {
    "the conversation": lambda conversation: forget_thread(thread_of(conversation.pk)),
    "everything": lambda conversation: forget_all(conversation.owner_id),
}


@pytest.mark.parametrize("forget", FORGETTING.values(), ids=FORGETTING)
def test_what_is_being_remembered_is_forgotten(
    conversation: Conversation, forget: Callable[[Conversation], Any]
) -> None:
    reply = engine.begin(conversation, content="Anna plays the cello.").reply
    with in_its_turn(lambda: forget(conversation)):
        assert reply.finish(Message.Status.COMPLETE, content="Since when?")
        remember_reply(reply)
        assert Recollection.objects.count() == 2
    assert not Recollection.objects.exists()
