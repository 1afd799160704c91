"""Server-sent events: framing, headers, heartbeat, and the renderer that lets DRF accept `text/event-stream`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer, JSONRenderer

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15
_HEARTBEAT = b": still here\n\n"

Frame = tuple[str, Mapping[str, object]]
T = TypeVar("T")


class EventStreamRenderer(BaseRenderer):
    """Answers to `Accept: text/event-stream`; what it renders itself is a refusal, which goes out as JSON."""

    media_type = MEDIA_TYPE
    format = "event-stream"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """The refusal's body."""
        if renderer_context is not None:
            renderer_context["response"]["Content-Type"] = "application/json"
        return bytes(JSONRenderer().render(data))


def response(frames: AsyncGenerator[Frame, None]) -> StreamingHttpResponse:
    """A stream of `(event, data)` with a comment line in every silence of 15 seconds."""
    # Proxies and compressing middleware must not hold frames back.
    headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no", "Content-Encoding": "identity"}
    return StreamingHttpResponse(_encoded(frames), content_type=MEDIA_TYPE, headers=headers)


def encode(event: str, data: Mapping[str, object]) -> bytes:
    """One frame: the event's name and one line of JSON."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()


async def until(ended: asyncio.Event, frames: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The frames, for as long as `ended` is not set."""
    end = asyncio.ensure_future(ended.wait())
    pending: asyncio.Task[T] | None = None
    try:
        while not ended.is_set():
            pending = asyncio.create_task(_next(frames))
            await asyncio.wait({pending, end}, return_when=asyncio.FIRST_COMPLETED)
            if pending.done():
                yield pending.result()
    except StopAsyncIteration:
        return
    finally:
        end.cancel()
        await _drop(pending)
        await frames.aclose()


async def _encoded(frames: AsyncGenerator[Frame, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(_with_heartbeat(frames)) as beating:
        async for frame in beating:
            yield _HEARTBEAT if frame is None else encode(*frame)


async def _with_heartbeat(frames: AsyncGenerator[Frame, None]) -> AsyncGenerator[Frame | None, None]:
    """The frames, and None for each silence. A silence does not cancel the wait for the next frame."""
    pending: asyncio.Task[Frame] | None = None
    try:
        while True:
            pending = pending or asyncio.create_task(_next(frames))
            done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT_SECONDS)
            if done:
                frame, pending = pending.result(), None
                yield frame
            else:
                yield None
    except StopAsyncIteration:
        return
    finally:
        await _drop(pending)
        await frames.aclose()


async def _next(frames: AsyncGenerator[T, None]) -> T:
    return await anext(frames)


async def _drop(pending: asyncio.Task[Any] | None) -> None:
    if pending is not None and not pending.done():
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
