"""Whatever the model server does, the reply reaches the status that is right for it, and keeps what was said."""

from __future__ import annotations

import asyncio
import socket

import pytest

from apps.conversations.models import Conversation, Message
from apps.core.database import in_database
from tests.conversations.conftest import Ask, ended
from tests.scripted_model import ScriptedModel, tokens

pytestmark = pytest.mark.django_db(transaction=True)

FAULTS = {
    # script: status, text, code
    "status-401": ("failed", "", "llm_unauthorized"),
    "status-404": ("failed", "", "llm_model_not_found"),
    "status-429": ("failed", "", "llm_busy"),
    "status-400": ("failed", "", "llm_rejected"),
    "status-500": ("failed", "", "llm_server_error"),
    "mute": ("failed", "", "llm_silent"),
    "onlygarbage": ("failed", "", "llm_silent"),
    "hang-3": ("interrupted", tokens(3), "llm_silent"),
    "drop-3": ("interrupted", tokens(3), "llm_cut"),
    "drop-0": ("failed", "", "llm_cut"),
    "close-3": ("interrupted", tokens(3), "llm_cut"),
    "midword-error": ("interrupted", "hal", "llm_server_error"),
    "longline": ("interrupted", tokens(1), "llm_line_too_long"),
    "garbage-3": ("complete", tokens(3), ""),
    "nochoices": ("complete", tokens(3), ""),
}


@pytest.mark.parametrize(("script", "status", "text", "code"), [(key, *value) for key, value in FAULTS.items()])
async def test_a_fault_ends_in_its_status_with_the_text_kept(
    script: str, status: str, text: str, code: str, ask: Ask, scripted_model: ScriptedModel, settings
) -> None:
    settings.LLM_FIRST_BYTE_TIMEOUT = settings.LLM_SILENCE_TIMEOUT = 0.3
    reply = await ended(await ask(model=script))
    assert (reply.status, reply.content, reply.error_code) == (status, text, code)
    assert reply.error_detail.startswith("[Error: ") is bool(code)
    assert "[Error" not in reply.content


async def test_an_endless_answer_is_ended_by_the_total_timeout(
    ask: Ask, scripted_model: ScriptedModel, settings
) -> None:
    settings.LLM_TOTAL_TIMEOUT = 0.3
    reply = await ended(await ask(model="paced-50-100000"))
    assert (reply.status, reply.error_code) == ("interrupted", "llm_too_slow")
    assert reply.content.startswith("t1 t2 ")


async def test_an_unreachable_server_is_named_and_nothing_of_it_is_content(ask: Ask, settings) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.TABBY_HOST = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        reply = await ended(await ask())
    assert (reply.status, reply.content, reply.error_code) == ("failed", "", "llm_unreachable")
    assert reply.error_detail == f"[Error: Could not connect to LLM service at {settings.TABBY_HOST}. Is it running?]"


async def test_errors_are_not_sent_back_to_the_model(ask: Ask, scripted_model: ScriptedModel) -> None:
    await ended(await ask("First question", model="status-500"))
    await ended(await ask("Second question", model="drop-2"))
    await ended(await ask("Third question", model="say-1"))
    prompt = scripted_model.chats[-1].body["messages"]
    assert "[Error" not in str(prompt)
    assert [message["role"] for message in prompt] == ["system", "user", "assistant", "user"]
    assert prompt[1]["content"] == "First question\n\nSecond question"
    assert prompt[2]["content"] == tokens(2)


async def test_the_next_question_works_after_a_fault(ask: Ask, scripted_model: ScriptedModel) -> None:
    await ended(await ask(model="drop-1"))
    assert (await ended(await ask(model="say-2"))).content == tokens(2)


async def test_a_fault_of_our_own_does_not_leave_the_reply_streaming(
    ask: Ask, scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(material: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("apps.conversations.engine.context.render", broken)
    reply = await ended(await ask())
    assert (reply.status, reply.error_code) == ("failed", "internal")


async def test_storms_leave_nothing_behind(ask: Ask, scripted_model: ScriptedModel, conversation: Conversation) -> None:
    for script in ("say-3", "drop-1", "status-500"):
        await ended(await ask(model=script))
    tasks = {task for task in asyncio.all_tasks() if "RunningTurn" in repr(task.get_coro())}
    assert not tasks
    assert not await in_database(Message.objects.streaming().exists)
