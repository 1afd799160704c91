"""How long the client waits: any byte breaks a silence, nothing stretches the whole."""

from __future__ import annotations

from contextlib import aclosing

from pytest_django import Settings

from apps.llm.client import shared_client
from apps.llm.errors import LLMSilent
from apps.llm.events import Finished, TextDelta
from tests.llm.asking import HELLO, ask, ask_in_vain, texts
from tests.scripted_model import ScriptedModel


async def test_the_first_text_may_take_longer_than_a_later_silence(
    scripted_model: ScriptedModel, impatient: Settings
) -> None:
    impatient.LLM_FIRST_BYTE_TIMEOUT = 10
    assert texts(await ask("slowstart-400-2")) == ["t1 ", "t2 "]
    assert (await ask_in_vain("hang-1"))[1].detail == LLMSilent(0.25).detail


async def test_headers_alone_do_not_end_the_wait_for_the_first_text(
    scripted_model: ScriptedModel, impatient: Settings
) -> None:
    impatient.LLM_SILENCE_TIMEOUT = 10
    assert (await ask_in_vain("hang-0"))[1].detail == LLMSilent(0.25).detail
    assert (await ask_in_vain("mute"))[1].detail == LLMSilent(0.25).detail


async def test_keep_alives_during_a_long_prompt_break_the_silence(
    scripted_model: ScriptedModel, impatient: Settings
) -> None:
    impatient.LLM_TOTAL_TIMEOUT = 0.75
    _, error = await ask_in_vain("comments-20")
    assert error.code == "llm_too_slow", "three times the silence that is borne, and keep-alives all the while"


async def test_an_answer_that_takes_too_long_in_all_is_ended(
    scripted_model: ScriptedModel, impatient: Settings
) -> None:
    impatient.LLM_TOTAL_TIMEOUT = 0.3
    text, error = await ask_in_vain("paced-50-100000")
    assert text.startswith("t1 t2 ")
    assert (error.code, error.detail[:52]) == ("llm_too_slow", "[Error: The answer was not finished after 0.3 second")
    await scripted_model.until(lambda: scripted_model.aborted == 1)


async def test_the_reader_may_take_its_time(scripted_model: ScriptedModel, impatient: Settings) -> None:
    impatient.LLM_FIRST_BYTE_TIMEOUT = 10
    async with aclosing(shared_client().stream(HELLO, model="hold")) as events:
        scripted_model.release()
        assert await anext(events) == TextDelta("t1 ")
        await ask("slowstart-400-1")  # longer than the silence that is borne
        scripted_model.release()
        scripted_model.finish()
        assert [event async for event in events][-1] == Finished("stop")
