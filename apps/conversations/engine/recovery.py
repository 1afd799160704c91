"""Ending what nobody goes on with: replies without a writer, temporary conversations that were left."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from apps.conversations.engine.boots import recover, this_boot
from apps.conversations.engine.turn import running_here
from apps.conversations.models import Conversation, Message

# Between its first row and its launch a turn is in nobody's hands for an instant.
LOST_AFTER = timedelta(seconds=10)


def recover_orphans() -> None:
    """End every reply whose process is gone, and those begun in this process that it never came to write. Safe to run
    anywhere, at any time, by many at once."""
    for reply in Message.objects.orphaned():
        recover(reply)
    begun_here = Message.objects.streaming().filter(boot=this_boot(), created_at__lt=timezone.now() - LOST_AFTER)
    for reply in begun_here.exclude(pk__in=running_here()):
        recover(reply)


def delete_left_behind() -> None:
    """Delete the temporary conversations that were left, as if a person had."""
    for conversation in Conversation.objects.left_behind(timezone.now()):
        conversation.delete()
