"""Event streams: framing, the heartbeat, and what becomes of the source when the client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest

from apps.core import sse
from tests.scripted_model import PATIENCE


class Source:
    """Frames that a test lets through one by one."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[sse.Frame | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    def put(self, number: int) -> None:
        self.queue.put_nowait(("tick", {"number": number}))

    def end(self) -> None:
        self.queue.put_nowait(None)

    async def frames(self) -> AsyncGenerator[sse.Frame, None]:
        try:
            while (frame := await self.queue.get()) is not None:
                yield frame
        finally:
            self.closed.set()


@pytest.fixture
def source() -> Source:
    return Source()


async def chunks(source: Source) -> AsyncIterator[bytes]:
    async with asyncio.timeout(PATIENCE):
        async for chunk in sse.response(source.frames()).streaming_content:
            yield chunk


async def test_a_frame_is_an_event_and_one_line_of_data(source: Source) -> None:
    text = "two\nlines\r\rand\u2028one"
    source.queue.put_nowait(("delta", {"text": text}))
    source.end()
    (chunk,) = [chunk async for chunk in chunks(source)]
    event, data, *rest = chunk.decode().split("\n")
    assert (event, rest) == ("event: delta", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == {"text": text}
    assert b"\r" not in chunk
    assert source.closed.is_set()


async def test_a_silence_is_filled_with_comments_and_loses_no_frame(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.01)
    async with aclosing(chunks(source)) as stream:
        assert [await anext(stream) for _ in range(2)] == [b": still here\n\n"] * 2
        source.put(1)
        while (chunk := await anext(stream)).startswith(b":"):
            pass
        assert chunk == b'event: tick\ndata: {"number": 1}\n\n'
        source.put(2)
        while (chunk := await anext(stream)).startswith(b":"):
            pass
        assert chunk == b'event: tick\ndata: {"number": 2}\n\n'


async def test_no_comment_is_sent_while_frames_come(source: Source) -> None:
    for number in range(20):
        source.put(number)
    source.end()
    assert not [chunk async for chunk in chunks(source) if chunk.startswith(b":")]


async def test_a_client_that_leaves_closes_the_source(source: Source) -> None:
    stream = sse.response(source.frames()).streaming_content
    source.put(1)
    await anext(stream)
    assert not source.closed.is_set()
    await stream.aclose()
    async with asyncio.timeout(PATIENCE):
        await source.closed.wait()


async def test_a_client_that_is_cancelled_while_it_waits_closes_the_source(source: Source) -> None:
    async def read() -> None:
        async with aclosing(sse.response(source.frames()).streaming_content) as stream:
            async for _ in stream:
                started.set()

    started = asyncio.Event()
    reader = asyncio.create_task(read())
    source.put(1)
    await started.wait()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert source.closed.is_set()


async def test_a_fault_of_the_source_reaches_whoever_reads() -> None:
    async def faulty() -> AsyncGenerator[sse.Frame, None]:
        yield "tick", {}
        raise ZeroDivisionError

    stream = sse.response(faulty()).streaming_content
    await anext(stream)
    with pytest.raises(ZeroDivisionError):
        await anext(stream)


async def test_until_passes_frames_on_to_the_sources_end(source: Source) -> None:
    source.put(1)
    source.put(2)
    source.end()
    frames = [frame async for frame in sse.until(asyncio.Event(), source.frames())]
    assert [data["number"] for _, data in frames] == [1, 2]


async def test_until_ends_a_silent_source_at_once(source: Source) -> None:
    ended = asyncio.Event()
    source.put(1)
    async with asyncio.timeout(PATIENCE), aclosing(sse.until(ended, source.frames())) as frames:
        await anext(frames)
        asyncio.get_running_loop().call_soon(ended.set)
        assert [frame async for frame in frames] == []
    assert source.closed.is_set()


async def test_until_shows_nothing_that_comes_after_the_end(source: Source) -> None:
    ended = asyncio.Event()
    ended.set()
    source.put(1)
    assert [frame async for frame in sse.until(ended, source.frames())] == []


async def test_until_closes_the_source_when_its_reader_leaves(source: Source) -> None:
    source.put(1)
    async with aclosing(sse.until(asyncio.Event(), source.frames())) as frames:
        await anext(frames)
    assert source.closed.is_set()
