"""Reading an event stream as a client does, and holding the server to its framing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, NamedTuple

from django.http import StreamingHttpResponse
from django.test import AsyncClient

from tests.scripted_model import PATIENCE

JSON = "application/json"
_FRAME = re.compile(rb"event: ([a-z]+)\ndata: ([^\r\n]*)\n\n")


class Frame(NamedTuple):
    """One event."""

    event: str
    data: dict[str, Any]


async def frames(response: StreamingHttpResponse) -> AsyncIterator[Frame]:
    """The frames as they come; leaving the loop early, with `aclosing`, is a client that leaves."""
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    content = response.streaming_content
    try:
        while True:
            async with asyncio.timeout(PATIENCE):
                chunk = await anext(content)
            if chunk.startswith(b":"):
                continue
            match = _FRAME.fullmatch(chunk)
            assert match is not None, chunk
            yield Frame(match[1].decode(), json.loads(match[2]))
    except StopAsyncIteration:
        return
    finally:
        await content.aclose()


async def first(response: StreamingHttpResponse, event: str) -> Frame:
    """The first frame of this name; the client then leaves."""
    async with aclosing(frames(response)) as stream:
        async for frame in stream:
            if frame.event == event:
                return frame
    raise AssertionError(event)


async def ask(browser: AsyncClient, path: str, *, accept: str = "*/*", method: str = "post", **body: Any) -> Any:
    """The response to a command of the chat API."""
    send = getattr(browser, method)
    return await send(f"/api/chat/{path}", body, content_type=JSON, headers={"accept": accept})
