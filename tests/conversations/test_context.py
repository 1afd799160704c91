"""What the model is told, and what is left out when it does not fit."""

from __future__ import annotations

from apps.conversations.engine.context import SYSTEM, Material, render
from apps.conversations.models import Message


def said(*pairs: tuple[str, str]) -> list[Message]:
    return [Message(role=role, content=content) for role, content in pairs]


def told(history: list[Message], context_tokens: int = 8192) -> list[tuple[str, str]]:
    prompt = render(Material(history, "m", context_tokens))
    return [(message["role"], message["content"]) for message in prompt.messages]


def test_the_question_comes_last_and_the_system_message_first() -> None:
    history = said(("user", "one"), ("assistant", "two"), ("user", "three"))
    assert told(history) == [("system", SYSTEM), ("user", "one"), ("assistant", "two"), ("user", "three")]


def test_the_prefix_stays_the_same_from_turn_to_turn() -> None:
    history = said(("user", "one"), ("assistant", "two"), ("user", "three"))
    longer = history + said(("assistant", "four"), ("user", "five"))
    assert told(longer)[: len(told(history))] == told(history)


def test_the_oldest_turns_are_left_out_whole_and_it_is_said() -> None:
    history = said(
        ("user", "a" * 3000), ("assistant", "b" * 3000), ("user", "c" * 300), ("assistant", "d"), ("user", "e")
    )
    prompt = render(Material(history, "m", 1000))
    assert [message["content"][0] for message in prompt.messages[1:]] == ["c", "d", "e"]
    assert prompt.degraded == ["history"]
    assert render(Material(history, "m", 8192)).degraded == []


def test_the_question_stays_even_when_it_alone_is_too_long() -> None:
    assert told(said(("user", "one"), ("assistant", "two"), ("user", "x" * 9000)), 100)[1:] == [("user", "x" * 9000)]


def test_a_question_without_an_answer_joins_the_next() -> None:
    history = said(("user", "one"), ("assistant", ""), ("user", "two"))
    assert told(history)[1:] == [("user", "one\n\ntwo")]
