"""A place in a conversation that its page does not show by itself: far up, or on a branch that is not being read.

It is shown as it is, to read. Nothing is changed by looking: other pages of the conversation stay where they are, and
what is being written goes on unseen.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from apps.conversations.models import Conversation, Message, attach_siblings

# So many messages before the one that is looked for, and as many after it.
AROUND = 20


@dataclass(frozen=True)
class Excerpt:
    """The messages around one, oldest first; the ids to go on from, upwards and downwards, where there is more."""

    message: Message
    messages: list[Message]
    is_active: bool
    above: int | None
    below: int | None

    @classmethod
    def around(cls, conversation: Conversation, message: Message) -> Excerpt:
        """Of the active branch if the message stands on it, else of the branch through it that was read last."""
        ids = sorted(Message.objects.ids_to(conversation.head_id))
        is_active = message.pk in ids
        if not is_active:
            ids = sorted(Message.objects.ids_to(message.leaf().pk))
        at = bisect_left(ids, message.pk)
        first, end = max(0, at - AROUND), min(len(ids), at + AROUND + 1)
        messages = Message.objects.branch_to(ids[-1], limit=end - first, before=ids[end - 1] + 1)
        attach_siblings(messages)
        above = ids[first] if first else None
        return cls(message, messages, is_active, above, ids[end - 1] if end < len(ids) else None)


def messages_below(conversation: Conversation, message: Message) -> int | None:
    """How many messages of the active branch stand below this one; None when it stands on another."""
    ids = sorted(Message.objects.ids_to(conversation.head_id), reverse=True)
    return ids.index(message.pk) if message.pk in ids else None
