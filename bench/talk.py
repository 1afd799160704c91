"""What the people of `bench/search` said; runs inside the product, in `manage.py shell`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate, islice

VOCABULARY = 20_000
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# How many messages hold the rare word, and which share of them the common one.
RARE_MESSAGES = 5
COMMON_SHARE = 1 / 3
BATCH = 2_000


def fill(conversations: int, messages: int, rare: str, common: str) -> None:
    """Give the one account so many conversations, with so many messages in all."""
    from apps.accounts.models import User
    from apps.conversations.models import Conversation, Message

    owner = User.objects.get()
    talks = Conversation.objects.bulk_create(
        [Conversation(owner=owner, title=f"Talk {number}") for number in range(conversations)]
    )
    texts = enumerate(_texts(messages, rare, common))
    while batch := list(islice(texts, BATCH)):
        Message.objects.bulk_create(
            [Message(conversation=talks[number % conversations], role="user", content=text) for number, text in batch]
        )


def remember(first: int, last: int) -> None:
    """Have these of the messages, counted from 0, remembered as if they had just been said."""
    from apps.conversations.engine.memories import source_of, thread_of
    from apps.conversations.models import Message
    from apps.memory.models import Recollection
    from apps.memory.words import analyse

    def recollection(message: Message) -> Recollection:
        said = analyse(message.content, message.created_at.date(), "Bench")
        return Recollection(
            owner_id=message.conversation.owner_id,
            source=source_of(message.pk),
            thread=thread_of(message.conversation_id),
            position=message.pk,
            speaker="Bench",
            text=message.content,
            said_at=message.created_at,
            voice=said.voice,
            stems=said.stems,
            asks=said.asks,
        )

    messages = Message.objects.order_by("pk").select_related("conversation")
    for start in range(first, last, BATCH):
        batch = messages[start : min(start + BATCH, last)]
        Recollection.objects.bulk_create([recollection(message) for message in batch])


def _texts(count: int, rare: str, common: str) -> Iterator[str]:
    """Some eighty words each, the n-th word of a language being an n-th as common as its first."""
    dice = random.Random(1)
    words = ["".join(dice.choices(LETTERS, k=dice.randint(2, 10))) for _ in range(VOCABULARY)]
    weights = list(accumulate(1 / (place + 1) for place in range(VOCABULARY)))
    rares = set(range(0, count, max(1, count // RARE_MESSAGES)))
    for number in range(count):
        said = dice.choices(words, cum_weights=weights, k=dice.randint(20, 140))
        said += [common] * (dice.random() < COMMON_SHARE) + [rare] * (number in rares)
        yield " ".join(said)
