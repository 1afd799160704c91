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
