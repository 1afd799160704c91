"""What a deleted conversation takes along, and who is told, by whatever door it goes: page, API, admin, or its owner's
account.

Django looks for what goes along before its transaction, and would stumble over what was said since.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver

from apps.accounts.models import User
from apps.conversations.engine.events import conversation_deleted, conversation_group, personal_group
from apps.conversations.engine.memories import thread_of
from apps.conversations.models import Conversation, Message
from apps.core.realtime import announce
from apps.memory.recall import forget_all, forget_thread


@receiver(pre_delete, sender=Conversation)
def take_messages_along(instance: Conversation, origin: Any = None, **_: Any) -> None:
    """Also those of a turn that began a moment ago."""
    if not _is_account(origin):
        _take_messages_along(Conversation.objects.filter(pk=instance.pk))


@receiver(pre_delete, sender=User)
def take_everything_along(instance: User, **_: Any) -> None:
    """The same for all that a person has, and for what of it is remembered."""
    _take_messages_along(Conversation.objects.filter(owner=instance))
    forget_all(instance.pk)


def _take_messages_along(conversations: QuerySet[Conversation]) -> None:
    """Nobody begins in them from now on. No statement but this one: all that hangs on a message is a message."""
    list(conversations.order_by("pk").select_for_update().values_list("pk"))
    messages = Message.objects.filter(conversation__in=conversations)
    messages._raw_delete(messages.db)  # noqa: SLF001


@receiver(post_delete, sender=Conversation)
def tell_watchers(instance: Conversation, **_: Any) -> None:
    """The owner's pages drop it from their list; sockets on it close. A reply being written ends by itself, since its
    row is gone."""
    event = conversation_deleted(instance.pk)
    announce(conversation_group(instance.pk), event)
    announce(personal_group(instance.owner_id), event)


@receiver(post_delete, sender=Conversation)
def forget_what_was_said(instance: Conversation, origin: Any = None, **_: Any) -> None:
    """It goes from memory too; with the whole account, all of its memory goes at once."""
    if not _is_account(origin):
        forget_thread(thread_of(instance.pk))


def _is_account(origin: Any) -> bool:
    """Whether what is being deleted is an account, or a list of them."""
    return isinstance(origin, User) or getattr(origin, "model", None) is User
