"""One client serves the whole process and follows the settings."""

from __future__ import annotations

import asyncio
import ssl

from pytest_django import Settings

from apps.llm.client import LLMClient, close_shared_client, shared_client, warm_up
from apps.llm.server import ModelServer, Timeouts, ssl_context
from tests.llm.asking import ask, texts
from tests.scripted_model import ScriptedModel


async def test_everybody_gets_the_same_client(scripted_model: ScriptedModel) -> None:
    assert shared_client() is shared_client()


async def test_a_changed_setting_is_noticed(scripted_model: ScriptedModel, settings: Settings) -> None:
    before = shared_client()
    settings.LLM_TOTAL_TIMEOUT = 7
    after = shared_client()
    assert after is not before
    assert after.server.timeouts.total == 7
    assert texts(await ask("say-1")) == ["t1 "]


def test_each_event_loop_has_its_own(scripted_model: ScriptedModel) -> None:
    async def ask_and_close() -> LLMClient:
        assert texts(await ask("say-1")) == ["t1 "]
        client = shared_client()
        await close_shared_client()
        return client

    assert asyncio.run(ask_and_close()) is not asyncio.run(ask_and_close())


def test_warming_up_needs_no_usable_address(settings: Settings) -> None:
    for address in ("", "nonsense://", "https://models.example.org"):
        settings.TABBY_HOST = address
        warm_up()


def test_certificates_are_checked_and_read_once() -> None:
    secure = ModelServer("https://models.example.org", timeouts=Timeouts()).options()["verify"]
    assert secure is ssl_context(trusts_anybody=True)
    for context in (secure, ssl_context(trusts_anybody=False)):
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
