"""What a question brings back to mind, through memory's face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from apps.accounts.models import User
from apps.memory import embedding, extraction
from apps.memory.excerpts import excerpt
from apps.memory.models import MemorySetting
from apps.memory.outbox import Outbox
from apps.memory.recall import EXCERPT_LENGTH, begin_search_meaning, recall, search
from tests.memory.conftest import SAID_AT, Remember, work

pytestmark = pytest.mark.django_db


def recalled(user: User, question: str) -> list[str]:
    return [memory.excerpt for memory in recall(user.pk, question).memories]


def test_what_fits_comes_with_who_said_it_and_when(say: Remember, alice: User) -> None:
    row = say("My dog is called Rex and he is afraid of drums.")
    (memory,) = recall(alice.pk, "What is my dog called?").memories
    assert (memory.recollection_id, memory.source) == (row.pk, row.source)
    assert (memory.speaker, memory.said_at) == ("Alice", SAID_AT)
    assert 0 < memory.score <= 1


def test_what_was_said_again_and_again_comes_once(say: Remember, alice: User) -> None:
    for number in range(3):
        say("My dog is called Rex.", thread=f"conversation:{number}")
    say("Rex is a dog of nine years.", thread="conversation:9")
    memories = recall(alice.pk, "What is my dog called?", limit=2).memories
    assert [memory.excerpt for memory in memories] == ["My dog is called Rex.", "Rex is a dog of nine years."]
    assert memories[0].score >= memories[1].score


def test_another_word_for_it_finds_it_too(outbox: Outbox, say: Remember, alice: User) -> None:
    say("We adopted a puppy from the shelter.")
    say("The bass amplifier hums again.", thread="conversation:2")
    work(outbox)
    assert recalled(alice, "Did we adopt dogs?") == ["We adopted a puppy from the shelter."]
    (close,) = begin_search_meaning(alice.pk, "adopting dogs")()
    assert close.excerpt == "We adopted a puppy from the shelter."


@pytest.mark.parametrize("question", ["", "?!", "And you?", "qwxz blorf", "What is the capital of Peru?"])
def test_what_has_nothing_to_do_with_it_recalls_nothing(
    outbox: Outbox, say: Remember, alice: User, question: str
) -> None:
    say("My dog is called Rex.")
    work(outbox)
    assert recalled(alice, question) == []
    assert search(alice.pk, question) == begin_search_meaning(alice.pk, question)() == []


def test_a_search_leaves_out_what_stands_beside_and_recall_does_not(outbox: Outbox, say: Remember, alice: User) -> None:
    say("How far is the quilt?")
    say("The edges are left, then it is finished.")
    work(outbox)
    assert len(recalled(alice, "quilt")) == 2
    assert [memory.excerpt for memory in search(alice.pk, "quilt")] == ["How far is the quilt?"]


def test_a_search_finds_what_is_close_in_meaning(outbox: Outbox, say: Remember, alice: User) -> None:
    say("We adopted a puppy from the shelter.")
    say("The bass amplifier hums again.")
    work(outbox)
    assert [memory.excerpt for memory in search(alice.pk, "dogs")] == ["We adopted a puppy from the shelter."]


def test_nobody_recalls_what_another_said(outbox: Outbox, say: Remember, alice: User, bob: User) -> None:
    say("My dog is called Rex.", user=bob)
    work(outbox)
    assert recalled(bob, "What is my dog called?") == ["My dog is called Rex."]
    assert recalled(alice, "What is my dog called?") == []
    assert search(alice.pk, "dog") == begin_search_meaning(alice.pk, "dog")() == []


def test_who_switched_memory_off_recalls_nothing(say: Remember, alice: User) -> None:
    say("My dog is called Rex.")
    MemorySetting.switch(alice.pk, enabled=False)
    assert recalled(alice, "What is my dog called?") == []
    MemorySetting.switch(alice.pk, enabled=True)
    assert recalled(alice, "What is my dog called?") == ["My dog is called Rex."]


def test_some_sources_may_be_left_out(say: Remember, alice: User) -> None:
    row = say("My dog is called Rex.")
    assert recall(alice.pk, "What is my dog called?", without_sources=[row.source]).memories == []


def test_facts_about_whom_it_names_come_along(say: Remember, alice: User) -> None:
    say("My sister Anna plays the cello.")
    extraction.work()
    facts = recall(alice.pk, "Which instrument does Anna play?").facts
    assert "Anna plays cello" in [fact.sentence for fact in facts]


class Broken:
    """An embedder that fails."""

    name, dimension, unrelated = "broken", 256, 0.0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        raise RuntimeError("out of order")


def test_words_are_left_when_the_embedder_fails(
    outbox: Outbox, say: Remember, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("My dog is called Rex.")
    work(outbox)
    monkeypatch.setattr(embedding, "current", Broken)
    found = recall(alice.pk, "What is my dog called?")
    assert [memory.excerpt for memory in found.memories] == ["My dog is called Rex."]
    assert found.missing == ("memory",)


def test_of_a_long_text_the_part_that_fits_is_told(say: Remember, alice: User) -> None:
    filling = "Nothing much happened that day. " * 100
    say(f"{filling}My dog is called Rex. {filling}")
    (told,) = recalled(alice, "What is my dog called?")
    assert "My dog is called Rex." in told
    assert len(told) <= EXCERPT_LENGTH + 2
    assert told.startswith("…")
    assert told.endswith("…")


def test_an_excerpt_of_one_endless_sentence_is_cut() -> None:
    assert excerpt("word " * 1000, ["word"], 100) == ("word " * 20).strip() + "…"
