"""The memories that a reply was told of, for whoever asks what they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.text import Truncator

from apps.accounts.models import User
from apps.conversations.engine.memories import source_of
from apps.conversations.models import Message
from apps.memory.models import Recollection

EXCERPT_LENGTH = 280


@dataclass(frozen=True, slots=True)
class Source:
    """A message that was remembered, and the beginning of what memory has of it."""

    message: Message
    excerpt: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The memories that are still there, in the order in which the reply was told them, and how many are not. A reply
    keeps no text of its memories, so what was forgotten since is not told again."""

    known: Sequence[Source]
    forgotten: int

    @classmethod
    def of(cls, user: User, reply: Message) -> Sources:
        """As they stand now."""
        ids = [source["message_id"] for source in reply.sources]
        said = Message.objects.visible_to(user).select_related("conversation").in_bulk(ids)
        mine = Recollection.objects.visible_to(user).filter(source__in=[source_of(pk) for pk in ids])
        texts = dict(mine.values_list("source", "text"))
        known = [
            Source(said[pk], _excerpt(texts[source_of(pk)])) for pk in ids if pk in said and source_of(pk) in texts
        ]
        return cls(known, len(ids) - len(known))


def _excerpt(text: str) -> str:
    return Truncator(" ".join(text.split())).chars(EXCERPT_LENGTH)
