"""Asking the model server: `LLMClient.stream` as it is written, `LLMClient.complete` when it is whole.

Promises: whatever the server does, a stream ends, in `Finished` or in an `LLMError`; closing or cancelling it closes
the connection upstream at once. Nothing is asked twice, except without `stream_options` where a server refuses that.

Surprises: `complete` streams as well, so that a server which falls silent is noticed and both meet the same limits; a
server that answers in one JSON body although a stream was asked for is understood. Time that the reader of a stream
takes for itself counts towards the total limit, not towards silence. A finish_reason makes an answer whole: what should
follow it (usage, [DONE]) is waited for only briefly.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from weakref import WeakKeyDictionary

import httpx

from apps.llm.answer import Answer, said
from apps.llm.errors import (
    LLMCut,
    LLMError,
    LLMLineTooLong,
    LLMNotConfigured,
    LLMServerError,
    LLMSilent,
    LLMTooSlow,
    LLMUnreachable,
    refusal,
)
from apps.llm.events import Completion, Finished, StreamEvent, TextDelta, UsageReported
from apps.llm.eventstream import EventStreamParser
from apps.llm.server import ModelServer, Timeouts

ChatMessages = Sequence[Mapping[str, object]]

GRACE_SECONDS = 1.0  # for what should follow a finish_reason, and for the words of a refusal
LINGER_SECONDS = 0.05  # for the end of the body after [DONE]
MAX_REFUSAL_BYTES = 64 << 10
MAX_WHOLE_BYTES = 16 << 20


class LLMClient:
    """One model server, over one pool of connections that belongs to the event loop it is first used in."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str = "",
        timeouts: Timeouts | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.server = ModelServer(base_url, api_key, timeouts or Timeouts())
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._asks_for_usage = True

    async def stream(self, messages: ChatMessages, *, model: str = "") -> AsyncGenerator[StreamEvent]:
        """The events of one answer; use it within `contextlib.aclosing`. Raises LLMError."""
        clock = _Clock(self.server.timeouts)
        answer = Answer()
        async with aclosing(_Body(await self._ask(messages, model, clock), clock)) as body:
            try:
                while not answer.is_signed_off and (events := await body.read(answer)) is not None:
                    for data in events:
                        if text := answer.read(data):
                            yield TextDelta(text)
            except (LLMCut, LLMSilent, LLMTooSlow):
                if not answer.is_whole:
                    raise
            except LLMServerError as exc:
                raise LLMServerError(self.server.redact(exc.quote)) from exc
            for event in answer.conclude():
                yield event
            await body.finish()

    async def complete(self, messages: ChatMessages, *, model: str = "") -> Completion:
        """One whole answer. Raises LLMError."""
        parts: list[str] = []
        usage: UsageReported | None = None
        reason = ""
        async with aclosing(self.stream(messages, model=model)) as events:
            async for event in events:
                match event:
                    case TextDelta(text):
                        parts.append(text)
                    case UsageReported():
                        usage = event
                    case Finished(reason):
                        pass
        return Completion("".join(parts), usage, reason)

    async def aclose(self) -> None:
        """Close every connection; the next use opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _ask(
        self, messages: ChatMessages, model: str, clock: _Clock, *, for_usage: bool | None = None
    ) -> httpx.Response:
        """The response, its body unread, once the server has accepted the request."""
        for_usage = self._asks_for_usage if for_usage is None else for_usage
        response = await self._send(_request_body(messages, model, for_usage=for_usage), clock)
        if response.is_success:
            return response
        quote = await _words_of(response)
        if for_usage and response.status_code in (400, 422) and "stream_options" in quote:
            self._asks_for_usage = False
            return await self._ask(messages, model, clock, for_usage=False)
        raise refusal(response.status_code, self.server.redact(quote))

    async def _send(self, body: bytes, clock: _Clock) -> httpx.Response:
        http = self._connected()
        request = http.build_request(
            "POST", "chat/completions", content=body, headers={"Content-Type": "application/json"}
        )
        patience = clock.timeouts.first_byte
        try:
            async with asyncio.timeout_at(clock.limit(patience)):
                return await http.send(request, stream=True)
        except TimeoutError as exc:
            raise clock.verdict(patience) from exc
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            raise LLMUnreachable(self.server.shown) from exc
        except httpx.HTTPError as exc:
            raise LLMCut from exc

    def _connected(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                **self.server.options(),
                transport=self._transport,
                timeout=httpx.Timeout(None, connect=self.server.timeouts.connect),
            )
        return self._http


class _Clock:
    """When to stop waiting. Its timeouts hold around single reads only, never where the reader of a stream runs."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._now = asyncio.get_running_loop().time
        self._ends_at = self._now() + timeouts.total

    def limit(self, patience: float) -> float:
        return min(self._now() + patience, self._ends_at)

    def end_within(self, seconds: float) -> None:
        self._ends_at = min(self._ends_at, self._now() + seconds)

    def verdict(self, patience: float) -> LLMSilent | LLMTooSlow:
        """What a wait of `patience` that came to nothing means."""
        return LLMTooSlow(self.timeouts.total) if self._now() >= self._ends_at else LLMSilent(patience)


class _Body:
    """The events in the body of one response, as they arrive."""

    def __init__(self, response: httpx.Response, clock: _Clock) -> None:
        self._response = response
        self._clock = clock
        self._chunks = response.aiter_raw()
        is_whole = response.headers.get("Content-Type", "").startswith("application/json")
        self._parser = _WholeBody() if is_whole else EventStreamParser()
        self._has_ended = False

    async def read(self, answer: Answer) -> list[str] | None:
        """The data of the events that the next bytes bring, perhaps none; None after the end."""
        if self._has_ended:
            return None
        if answer.is_whole:
            self._clock.end_within(GRACE_SECONDS)
        timeouts = self._clock.timeouts
        chunk = await self._read_chunk(timeouts.silence if answer.has_text else timeouts.first_byte)
        if chunk:
            return self._parser.feed(chunk)
        self._has_ended = True
        return self._parser.close()

    async def finish(self) -> None:
        """See the end of a body that has said everything, so that its connection can be used again."""
        with suppress(LLMError):
            await self._read_chunk(LINGER_SECONDS)

    async def aclose(self) -> None:
        await self._response.aclose()

    async def _read_chunk(self, patience: float) -> bytes:
        """Bytes, or none at the end."""
        try:
            async with asyncio.timeout_at(self._clock.limit(patience)):
                return await anext(self._chunks, b"")
        except TimeoutError as exc:
            raise self._clock.verdict(patience) from exc
        except httpx.HTTPError as exc:
            raise LLMCut from exc


class _WholeBody:
    """Stands in for the parser where the body is one JSON object instead of an event stream."""

    def __init__(self) -> None:
        self._raw = bytearray()

    def feed(self, chunk: bytes) -> list[str]:
        self._raw += chunk
        if len(self._raw) > MAX_WHOLE_BYTES:
            raise LLMLineTooLong(MAX_WHOLE_BYTES)
        return []

    def close(self) -> list[str]:
        return [self._raw.decode(errors="replace")]


def _request_body(messages: ChatMessages, model: str, *, for_usage: bool) -> bytes:
    body: dict[str, object] = {"messages": list(messages), "stream": True}
    if model:
        body["model"] = model
    if for_usage:
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


async def _words_of(response: httpx.Response) -> str:
    """What a refusal says in its body, as far as it arrives soon; closes the response."""
    raw = bytearray()
    async with aclosing(response):
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(GRACE_SECONDS):
                async for chunk in response.aiter_raw():
                    raw += chunk
                    if len(raw) > MAX_REFUSAL_BYTES:
                        break
    if response.headers.get("Content-Type", "").startswith("text/plain"):
        return raw.decode(errors="replace")
    try:
        return said(json.loads(raw))
    except (ValueError, RecursionError):
        return ""


# One pool a process, in truth one an event loop: a web process has one loop, a test makes many.
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, LLMClient] = WeakKeyDictionary()
_closing: set[asyncio.Task[None]] = set()


def shared_client() -> LLMClient:
    """The running loop's client for the server that the settings name; cheap enough for every turn."""
    loop = asyncio.get_running_loop()
    server = ModelServer.from_settings()
    client = _shared.get(loop)
    if client is not None and client.server == server:
        return client
    if client is not None:
        closing = loop.create_task(client.aclose())
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)
    _shared[loop] = LLMClient(server.base_url, api_key=server.api_key, timeouts=server.timeouts)
    return _shared[loop]


async def close_shared_client() -> None:
    """Close the running loop's connections to the model server."""
    client = _shared.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()


def warm_up() -> None:
    """Do now, when the process starts, what the first question would otherwise wait for."""
    importlib.import_module("anyio._backends._asyncio")
    with suppress(LLMNotConfigured):
        httpx.AsyncClient(**ModelServer.from_settings().options())
