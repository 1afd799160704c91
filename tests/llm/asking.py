"""How the tests ask."""

from __future__ import annotations

from contextlib import aclosing

from apps.llm.client import LLMClient, shared_client
from apps.llm.errors import LLMError
from apps.llm.events import StreamEvent, TextDelta

HELLO = [{"role": "user", "content": "Hi"}]


async def ask(model: str = "", *, client: LLMClient | None = None) -> list[StreamEvent]:
    """Every event of one answer."""
    async with aclosing((client or shared_client()).stream(HELLO, model=model)) as events:
        return [event async for event in events]


async def ask_in_vain(model: str = "", *, client: LLMClient | None = None) -> tuple[str, LLMError]:
    """The text of an answer that fails, and its error."""
    parts: list[str] = []
    try:
        async with aclosing((client or shared_client()).stream(HELLO, model=model)) as events:
            async for event in events:
                assert isinstance(event, TextDelta)
                parts.append(event.text)
    except LLMError as error:
        failure = error
    else:
        raise AssertionError("the answer did not fail")
    assert failure.detail.startswith("[Error: ")
    assert failure.detail.endswith("]")
    return "".join(parts), failure


def texts(events: list[StreamEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, TextDelta)]
