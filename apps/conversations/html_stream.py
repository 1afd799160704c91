"""The safe HTML of a reply while it is written, for one socket.

Rendering happens on a thread, since a hostile text may take long, and takes at most a tenth of the time: the next
render waits nine times as long as the last one took, and then covers everything that came meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from apps.conversations.engine.events import StreamingJSON
from apps.core.markdown import Block, StreamRenderer, render
from apps.core.realtime import Event

_PAUSE_PER_RENDER = 9

SendEvent = Callable[[Mapping[str, object]], Awaitable[None]]


class HtmlStream:
    """Renders one reply at a time; `send` gets a `message.rendered` for each block that changed."""

    def __init__(self, send: SendEvent) -> None:
        self._send = send
        self._message_id = 0
        self._renderer = StreamRenderer()
        self._waiting = ""
        self._pause = 0.0
        self._task: asyncio.Task[None] | None = None

    async def begin(self, streaming: StreamingJSON | None) -> list[dict[str, object]]:
        """The blocks of the text so far."""
        self._start(streaming["message_id"] if streaming else 0)
        if streaming is None:
            return []
        return [block_json(block) for block in await asyncio.to_thread(self._renderer.feed, streaming["text"])]

    def take(self, delta: Event) -> None:
        """More text; its HTML follows by itself."""
        if delta["message_id"] != self._message_id:
            self._start(delta["message_id"])
        self._waiting += delta["text"]
        if self._task is None:
            self._task = asyncio.create_task(self._render())

    async def end(self, message: Mapping[str, str | int]) -> str:
        """The whole, which replaces every block. It need not be the reply that is being written."""
        if message["id"] == self._message_id:
            self._start(0)
        return await asyncio.to_thread(render, str(message["content"]))

    def close(self) -> None:
        """Nobody looks any more."""
        self._start(0)

    def _start(self, message_id: int) -> None:
        if self._task is not None:
            self._task.cancel()
        self._message_id, self._renderer = message_id, StreamRenderer()
        self._waiting, self._pause, self._task = "", 0.0, None

    async def _render(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._pause)
            text, self._waiting = self._waiting, ""
            started = time.perf_counter()
            blocks = await asyncio.to_thread(self._renderer.feed, text)
            self._pause = (time.perf_counter() - started) * _PAUSE_PER_RENDER
            for block in blocks:
                await self._send({"type": "message.rendered", "message_id": self._message_id, **block_json(block)})
        self._task = None


def block_json(block: Block) -> dict[str, object]:
    """A block as it goes over the wire; `start` and `end` count the text's characters. An empty range says that the
    block is gone: what followed made it part of the one before."""
    return {"block": block.index, "start": block.start, "end": block.end, "html": block.html}
