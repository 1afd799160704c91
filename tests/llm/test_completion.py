"""A whole completion: the same model, the same faults, one value."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from apps.llm.client import shared_client
from apps.llm.errors import LLMError
from apps.llm.events import Completion, UsageReported
from tests.llm.asking import HELLO
from tests.scripted_model import ScriptedModel, tokens


async def test_a_whole_completion_returns_content(scripted_model: ScriptedModel) -> None:
    completion = await shared_client().complete(HELLO, model="say-3")
    assert completion == Completion(tokens(3), UsageReported(7, 3, 10), "stop")


async def test_a_completion_in_one_body_returns_content(scripted_model: ScriptedModel) -> None:
    assert (await shared_client().complete(HELLO, model="whole")).text == "I am fine"


@pytest.mark.parametrize("script", ["mute", "hang-1", "status-500", "drop-1"])
async def test_a_failure_says_error_in_its_detail(
    scripted_model: ScriptedModel, impatient: Settings, script: str
) -> None:
    with pytest.raises(LLMError) as failure:
        await shared_client().complete(HELLO, model=script)
    assert "[Error:" in failure.value.detail
