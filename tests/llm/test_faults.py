"""Whatever the model server does wrong has a name, keeps what was said so far, and tells the reader what to do."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from apps.llm.answer import MAX_CHARACTERS
from apps.llm.client import LLMClient, shared_client
from apps.llm.errors import LLMError, LLMUnreachable
from tests.llm.asking import ask, ask_in_vain, texts
from tests.scripted_model import ScriptedModel, tokens


async def test_a_connect_error_says_could_not_connect(nobody_listens: str, settings: Settings) -> None:
    settings.TABBY_HOST = f"{nobody_listens}/v1/"
    text, error = await ask_in_vain()
    assert (text, error.code, error.status) == ("", "llm_unreachable", 503)
    assert error.detail == f"[Error: Could not connect to LLM service at {nobody_listens}. Is it running?]"


async def test_a_connection_that_is_never_made_counts_as_unreachable(nobody_accepts: str, impatient: Settings) -> None:
    impatient.TABBY_HOST = nobody_accepts
    impatient.LLM_FIRST_BYTE_TIMEOUT = 10
    assert (await ask_in_vain())[1].code == "llm_unreachable"


async def test_a_host_that_does_not_exist_counts_as_unreachable(settings: Settings) -> None:
    settings.TABBY_HOST = "http://nowhere.invalid:5000"
    assert (await ask_in_vain())[1].code == "llm_unreachable"


@pytest.mark.parametrize(
    "address", ["", " ", "ftp://somewhere", "http://", "http://[::1", "http://host:port", f"http://{'a' * 64}.org"]
)
async def test_without_a_usable_address_the_reader_learns_how_to_set_one(settings: Settings, address: str) -> None:
    settings.TABBY_HOST = address
    _, error = await ask_in_vain()
    assert isinstance(error, LLMUnreachable)
    assert error.code == "llm_not_configured"
    assert "Set TABBY_HOST" in error.detail
    assert "bin/gantry start" in error.detail


async def test_credentials_of_the_address_are_sent_and_never_shown(
    scripted_model: ScriptedModel, settings: Settings, nobody_listens: str
) -> None:
    settings.TABBY_HOST = scripted_model.url.replace("http://", "http://me:s%65cret@")
    assert texts(await ask("say-1")) == ["t1 "]
    assert scripted_model.chats[0].headers["authorization"] == "Basic bWU6c2VjcmV0"
    settings.TABBY_HOST = nobody_listens.replace("http://", "http://me:s%65cret@")
    _, error = await ask_in_vain()
    assert error.detail == f"[Error: Could not connect to LLM service at {nobody_listens}. Is it running?]"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("status-401", "llm_unauthorized"),
        ("status-403", "llm_unauthorized"),
        ("status-404", "llm_model_not_found"),
        ("status-429", "llm_busy"),
        ("status-400", "llm_rejected"),
        ("status-422", "llm_rejected"),
        ("status-302", "llm_rejected"),
        ("status-500", "llm_server_error"),
        ("status-503", "llm_server_error"),
    ],
)
async def test_a_refusal_is_named_and_quotes_the_server(scripted_model: ScriptedModel, script: str, code: str) -> None:
    text, error = await ask_in_vain(script)
    assert (text, error.code) == ("", code)
    assert error.detail.endswith("It said: fault on request]")
    assert len(scripted_model.chats) == 1


@pytest.mark.parametrize(
    ("script", "said", "code"),
    [
        ("hang-2", tokens(2), "llm_silent"),
        ("hang-0", "", "llm_silent"),
        ("mute", "", "llm_silent"),
        ("drop-2", tokens(2), "llm_cut"),
        ("drop-0", "", "llm_cut"),
        ("close-2", tokens(2), "llm_cut"),
        ("close-0", "", "llm_silent"),
        ("onlygarbage", "", "llm_silent"),
        ("midword-error", "hal", "llm_server_error"),
        ("longline", tokens(1), "llm_line_too_long"),
    ],
)
async def test_a_broken_answer_is_named_and_keeps_what_was_said(
    scripted_model: ScriptedModel, impatient: Settings, script: str, said: str, code: str
) -> None:
    text, error = await ask_in_vain(script)
    assert (text, error.code) == (said, code)
    await scripted_model.until(lambda: scripted_model.open == 0)


async def test_an_answer_without_end_is_stopped_at_a_limit(scripted_model: ScriptedModel) -> None:
    text, error = await ask_in_vain("endless")
    assert error.code == "llm_too_long"
    assert MAX_CHARACTERS - 10_000 <= len(text) <= MAX_CHARACTERS
    await scripted_model.until(lambda: scripted_model.aborted == 1)


async def test_an_error_within_the_stream_is_quoted_in_one_line(scripted_model: ScriptedModel) -> None:
    _, error = await ask_in_vain("midword-error")
    assert error.detail.endswith("It said: CUDA ran out of memory]")


async def test_a_long_quotation_is_cut(scripted_model: ScriptedModel) -> None:
    scripted_model.body = b'data: {"error": "%b"}\n\n' % (b"long " * 200)
    _, error = await ask_in_vain("verbatim")
    quote = error.detail.partition("It said: ")[2]
    assert quote.endswith("…]")
    assert len(quote) < 310


async def test_a_server_that_repeats_our_key_does_not_betray_it(
    scripted_model: ScriptedModel, settings: Settings
) -> None:
    settings.LLM_API_KEY = "sesame"
    scripted_model.api_key = "another"
    assert (await ask_in_vain())[1].detail.endswith("It said: Wrong key: Bearer …]")
    scripted_model.api_key = "sesame"
    scripted_model.body = b'data: {"error": "bad key sesame"}\n\n'
    assert (await ask_in_vain("verbatim"))[1].detail.endswith("It said: bad key …]")
    assert "sesame" not in repr(shared_client().server)


async def test_every_error_has_a_code_of_its_own() -> None:
    def family(error: type[LLMError]) -> list[type[LLMError]]:
        return [error, *(child for direct in error.__subclasses__() for child in family(direct))]

    codes = [error.code for error in family(LLMError)]
    assert len(codes) == len(set(codes)) == 14


async def test_a_server_that_recovers_is_used_again(nobody_listens: str, scripted_model: ScriptedModel) -> None:
    client = LLMClient(scripted_model.url)
    assert (await ask_in_vain("drop-1", client=client))[1].code == "llm_cut"
    assert (await ask_in_vain("status-500", client=client))[1].code == "llm_server_error"
    assert texts(await ask("say-1", client=client)) == ["t1 "]
    await client.aclose()
