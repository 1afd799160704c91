"""What must be told when a conversation is deleted, by whatever door: page, API, admin, or its owner's account."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete
from django.dispatch import receiver

from apps.accounts.models import User
from apps.conversations.engine.events import conversation_deleted, conversation_group, personal_group
from apps.conversations.engine.memories import thread_of
from apps.conversations.models import Conversation
from apps.core.realtime import announce
from apps.memory.recall import forget_thread


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
    if not isinstance(origin, User) and getattr(origin, "model", None) is not User:
        forget_thread(thread_of(instance.pk))
