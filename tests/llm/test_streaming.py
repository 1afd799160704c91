"""An answer is read as it is written."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from pytest_django import Settings

from apps.llm.client import shared_client
from apps.llm.events import Finished, TextDelta, UsageReported
from tests.llm.asking import HELLO, ask, ask_in_vain, texts
from tests.scripted_model import AWKWARD_TEXT, ScriptedModel, tokens

TextsOf = Callable[..., Awaitable[list[str]]]


async def test_a_stream_yields_content(scripted_model: ScriptedModel) -> None:
    assert await ask("say-2") == [
        TextDelta("t1 "),
        TextDelta("t2 "),
        UsageReported(prompt_tokens=7, completion_tokens=2, total_tokens=9),
        Finished("stop"),
    ]


async def test_each_token_arrives_before_the_next_one_is_written(scripted_model: ScriptedModel) -> None:
    async with aclosing(shared_client().stream(HELLO, model="hold")) as events:
        for number in range(1, 4):
            scripted_model.release()
            assert await anext(events) == TextDelta(f"t{number} ")
        scripted_model.finish()
        assert [type(event) async for event in events] == [UsageReported, Finished]


async def test_the_server_gets_the_messages_and_the_model(scripted_model: ScriptedModel) -> None:
    assert json.loads("".join(texts(await ask("echo")))) == HELLO
    (request,) = scripted_model.chats
    assert request.body == {
        "messages": HELLO,
        "model": "echo",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers


async def test_without_a_model_none_is_named(scripted_model: ScriptedModel) -> None:
    await ask()
    assert "model" not in scripted_model.chats[0].body


async def test_a_key_is_sent_when_there_is_one(scripted_model: ScriptedModel, settings: Settings) -> None:
    scripted_model.api_key = settings.LLM_API_KEY = "sesame"
    assert texts(await ask("say-1")) == ["t1 "]
    settings.LLM_API_KEY = "wrong"
    assert (await ask_in_vain("say-1"))[1].code == "llm_unauthorized"


async def test_text_survives_whatever_is_in_it_and_wherever_it_is_cut(scripted_model: ScriptedModel) -> None:
    assert texts(await ask("unicode")) == [AWKWARD_TEXT]


async def test_lines_that_make_no_sense_are_skipped(scripted_model: ScriptedModel) -> None:
    events = await ask("garbage-3")
    assert texts(events) == ["t1 ", "t2 ", "t3 "]
    assert events[-1] == Finished("stop")


async def test_chunks_without_choices_carry_usage_at_most(scripted_model: ScriptedModel) -> None:
    events = await ask("nochoices")
    assert "".join(texts(events)) == tokens(3)
    assert events[-2:] == [UsageReported(7, 3, 10), Finished("stop")]


async def test_what_a_reasoning_model_thinks_is_not_content(scripted_model: ScriptedModel) -> None:
    assert "".join(texts(await ask("reasoning"))) == tokens(2)


async def test_a_whole_answer_is_understood_though_a_stream_was_asked_for(scripted_model: ScriptedModel) -> None:
    assert await ask("whole") == [TextDelta("I am fine"), UsageReported(7, 0, 7), Finished("stop")]


async def test_an_answer_is_whole_with_its_finish_reason(scripted_model: ScriptedModel) -> None:
    assert await ask("nosignoff-2") == [TextDelta("t1 "), TextDelta("t2 "), Finished("stop")]


async def test_a_server_that_cannot_report_usage_is_asked_again_without(scripted_model: ScriptedModel) -> None:
    for _ in range(2):
        assert "".join(texts(await ask("plain-usage"))) == tokens(3)
    asked = ["stream_options" in request.body for request in scripted_model.chats]
    assert asked == [True, False, False]


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "//"])
async def test_the_address_may_end_in_any_usual_way(
    scripted_model: ScriptedModel, settings: Settings, tail: str
) -> None:
    settings.TABBY_HOST = scripted_model.url + tail
    assert texts(await ask("say-1")) == ["t1 "]


async def test_the_address_needs_no_scheme(scripted_model: ScriptedModel, settings: Settings) -> None:
    settings.TABBY_HOST = scripted_model.url.removeprefix("http://")
    assert texts(await ask("say-1")) == ["t1 "]


# --- Bodies that are sent as they stand here


@pytest.fixture
def texts_of(scripted_model: ScriptedModel) -> TextsOf:
    """The texts of an answer whose events carry these data."""

    async def stream(*data: str) -> list[str]:
        scripted_model.body = "".join(f"data: {line}\n\n" for line in data).encode()
        return texts(await ask("verbatim"))

    return stream


def delta(content: str) -> str:
    return f'{{"choices": [{{"delta": {{"content": "{content}"}}}}]}}'


async def test_what_no_database_takes_is_replaced(texts_of: TextsOf) -> None:
    assert await texts_of(delta(r"a\u0000b"), delta(r"\ud800c"), "[DONE]") == ["a\ufffdb", "\ufffdc"]


async def test_a_character_that_the_server_cut_in_two_is_joined(texts_of: TextsOf) -> None:
    assert "".join(await texts_of(delta(r"x\ud83d"), delta(r"\ude00y"), "[DONE]")) == "x😀y"
    assert "".join(await texts_of(delta(r"x\ud83d"), "[DONE]")) == "x\ufffd"


async def test_content_of_another_kind_is_left_out(texts_of: TextsOf) -> None:
    odd = [
        '{"choices": [{"delta": null}]}',
        '{"choices": [{"delta": {"content": 7}}]}',
        '{"choices": "x"}',
        '{"usage": {"prompt_tokens": "x"}}',
        "[" * 99_999,
    ]
    assert await texts_of(*odd, delta("ok"), "[DONE]") == ["ok"]


async def test_events_without_blank_lines_between_them_are_told_apart(texts_of: TextsOf) -> None:
    assert await texts_of(f"{delta('a')}\ndata: {delta('b')}\ndata: [DONE]") == ["ab"]
