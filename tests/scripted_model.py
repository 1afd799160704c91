"""A model server that follows a script: what the tests and the bench talk to instead of a patched method.

It is a real HTTP server on loopback, in a thread and an event loop of its own, so sync tests, async tests and a Django
in another process use it alike. How a chat request is answered is told by the model's name, or, where that names no
script, by `server.script`:

    say-N           N tokens at once, usage, [DONE]      paced-RATE-N    N tokens at RATE a second
    hold            a token each time the test releases one, or the next of `server.pieces`
    hang-N          N tokens, then silence               mute            silence, without even headers
    drop-N          N tokens, then the socket is cut     close-N         N tokens, then a clean end that says nothing
    garbage-N       N tokens between malformed lines     onlygarbage     nothing that makes sense
    comments-N      keep-alives only, N milliseconds apart
    slowstart-MS-N  headers and N tokens after MS milliseconds
    nosignoff-N     N tokens and finish_reason, then keep-alives without end
    nochoices       tokens among chunks with `choices: []`
    midword-error   half a word, then an error object    longline        a line that does not end
    endless         text that never ends                 unicode         awkward text, a byte at a time
    reasoning       thoughts first, then an answer       echo            the messages it was given, as JSON
    whole           one JSON body, though a stream was asked for
    plain-usage     400 for `stream_options`, else say-3
    verbatim        `server.body`, byte by byte as it is
    status-CODE     that status, with an error message

    python -m tests.scripted_model --port 0    prints its port; each token then carries the clock at which it left
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvloop

PATIENCE = 10.0  # seconds a test waits for what must happen
AWKWARD_TEXT = "line\u2028paragraph\u2029next\u0085tab\x0b\x0cé 漢字 👩‍👩‍👧 end"

# Made by hand: this is what the bench has made thousands of times a second.
TEXT_EVENT = b"""\
data: {"id":"c","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"content":%b},\
"finish_reason":null}]}

"""

Script = Callable[..., Awaitable[None]]
SCRIPTS: dict[str, Script] = {}


def tokens(count: int) -> str:
    """The text of `count` tokens as every script but the clocked ones sends it."""
    return "".join(f"t{number} " for number in range(1, count + 1))


@dataclass
class Request:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    at: float = field(default_factory=time.time)

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.raw or b"{}")
        return body


class ScriptedModel:
    """The server. Its methods may be called from any thread."""

    def __init__(self, *, port: int = 0, clock: bool = False) -> None:
        self.clock = clock
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._changed = threading.Condition()
        self._connections: set[asyncio.StreamWriter] = set()
        self.reset()

    def reset(self) -> None:
        """As new: what was recorded is forgotten; what is under way ends by itself and is not recorded any more."""
        with self._changed:
            self._answers: set[Answer] = set()
            self.script = "say-5"
            self.models: list[dict[str, Any]] = [{"id": "say-5", "object": "model"}, {"id": "echo", "object": "model"}]
            self.loaded: str | None = None  # what TabbyAPI's /v1/model names; None: there is no such route
            self.catalog_script = ""  # a script that GET requests follow instead of answering
            self.api_key = ""
            self.body = b""  # what the script `verbatim` sends
            self.pieces: list[str] = []  # what held answers say instead of tokens
            self.requests: list[Request] = []
            self.opened = self.finished = self.aborted = self.connections_made = 0
            self.last_closed_at: float | None = None
            # For the next held answer.
            self._spare_releases = 0
            self._may_next_end = False

    # --- Life

    def start(self) -> ScriptedModel:
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="scripted-model", daemon=True)
        self._thread.start()
        started.wait(PATIENCE)
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(PATIENCE)

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self.serve(started.set))

    async def serve(self, when_ready: Callable[[], object]) -> None:
        """Listen until `stop`."""
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._serve_connection, "127.0.0.1", self._port, backlog=4096)
        self._port = server.sockets[0].getsockname()[1]
        when_ready()
        async with server:
            await self._stopping.wait()
            for writer in self._connections:
                writer.transport.abort()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    # --- What a test waits for

    def wait_until(self, is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Block until something recorded here makes it so; AssertionError when it does not come."""
        with self._changed:
            assert self._changed.wait_for(is_so, patience), "the model server did not see it happen"

    async def until(self, is_so: Callable[[], bool]) -> None:
        """`wait_until` for a test that runs in an event loop."""
        await asyncio.to_thread(self.wait_until, is_so)

    @property
    def open(self) -> int:
        """Chat answers under way."""
        return self.opened - self.finished - self.aborted

    @property
    def connections(self) -> int:
        """Connections that are open, idle ones included."""
        return len(self._connections)

    @property
    def chats(self) -> list[Request]:
        return [request for request in list(self.requests) if request.path == "/v1/chat/completions"]

    def release(self, count: int = 1) -> None:
        """Let each held answer go on by `count` tokens; with none under way, the next one."""
        with self._changed:
            held = self._held()
            if not held:
                self._spare_releases += count
        for answer in held:
            self._loop.call_soon_threadsafe(answer.release, count)

    def finish(self) -> None:
        """Let each held answer end properly; with none under way, the next one."""
        with self._changed:
            held = self._held()
            self._may_next_end = not held
        for answer in held:
            self._loop.call_soon_threadsafe(answer.let_end)

    def cut(self) -> None:
        """Let the connection of each held answer break."""
        for answer in self._held():
            self._loop.call_soon_threadsafe(answer.let_break)

    def _held(self) -> list[Answer]:
        return [answer for answer in self._answers if answer.is_held]

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()

    # --- Serving

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._recording():
            self._connections.add(writer)
            self.connections_made += 1
        try:
            while request := await read_request(reader):
                if not await self._answer(request, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            with self._recording():
                self._connections.discard(writer)
            writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True when the connection may carry another request."""
        answer = Answer(self, request, writer)
        with self._recording():
            self.requests.append(request)
            if request.path == "/v1/chat/completions":
                self._open(answer)
        ended = False
        try:
            ended = await until_either(self._perform(answer, request), reader)
        finally:
            self._close(answer, ended=ended)
        return ended and answer.keeps_connection

    def _open(self, answer: Answer) -> None:
        self.opened += 1
        self._answers.add(answer)
        answer.is_held = self._script_of(answer.request) == "hold"
        if answer.is_held:
            answer.release(self._spare_releases)
            self._spare_releases = 0
            if self._may_next_end:
                answer.let_end()
                self._may_next_end = False

    def _close(self, answer: Answer, *, ended: bool) -> None:
        with self._recording():
            if answer in self._answers:
                self._answers.discard(answer)
                self.finished += ended
                self.aborted += not ended
                self.last_closed_at = time.time()

    async def _perform(self, answer: Answer, request: Request) -> None:
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return await answer.refuse(401, f"Wrong key: {request.headers.get('authorization')}")
        if request.path == "/v1/chat/completions":
            return await perform(answer, self._script_of(request))
        if self.catalog_script:
            return await perform(answer, self.catalog_script)
        return await self._answer_catalog(answer, request)

    async def _answer_catalog(self, answer: Answer, request: Request) -> None:
        if request.path == "/v1/models":
            return await answer.reply(200, {"object": "list", "data": self.models})
        if self.loaded is None or not request.path.startswith("/v1/model"):
            return await answer.refuse(404, "Not Found")
        if request.path == "/v1/model/load":
            self.loaded = request.body.get("model_name") or request.body.get("name") or ""
        elif request.path == "/v1/model/unload":
            self.loaded = ""
        if request.path == "/v1/model" and not self.loaded:
            return await answer.refuse(400, "No models are currently loaded.")
        return await answer.reply(200, {"id": self.loaded, "object": "model", "parameters": {"max_seq_len": 4096}})

    def _script_of(self, request: Request) -> str:
        model = str(request.body.get("model", ""))
        return model if model.partition("-")[0] in SCRIPTS or model in SCRIPTS else self.script


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request on a connection; None when the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path.partition("?")[0], headers, raw)


async def until_either(performance: Awaitable[None], reader: asyncio.StreamReader) -> bool:
    """Perform until the end (True) or until the client leaves (False)."""
    task = asyncio.ensure_future(performance)
    gone = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        task.result()
    except ConnectionError:
        return False
    else:
        return True
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


# --- One answer


class Answer:
    """The server's side of one exchange: what scripts write with."""

    def __init__(self, server: ScriptedModel, request: Request, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self.is_held = False
        self.keeps_connection = True
        self.server = server
        self._writer = writer
        self._streaming = False
        self._numbers = itertools.count(1)
        self._sent = 0
        self._allowed = 0
        self._may_end = self.is_to_break = False
        self._wake = asyncio.Event()

    def release(self, count: int) -> None:
        self._allowed += count
        self._wake.set()

    def let_end(self) -> None:
        self._may_end = True
        self._wake.set()

    def let_break(self) -> None:
        self.is_to_break = True
        self.let_end()

    async def releases(self) -> AsyncIterator[None]:
        """Once for each token that the test lets go."""
        for given in itertools.count():
            while given >= self._allowed:
                if self._may_end:
                    return
                self._wake.clear()
                await self._wake.wait()
            yield

    async def reply(self, status: int, body: object) -> None:
        raw = json.dumps(body).encode()
        head = b"HTTP/1.1 %d Scripted\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._writer.write(head % (status, len(raw)) + raw)
        await self._writer.drain()

    async def refuse(self, status: int, message: str) -> None:
        await self.reply(status, {"error": {"message": message, "type": "scripted"}})

    async def raw(self, data: bytes) -> None:
        """Body bytes exactly as given; the headers go before the first ones."""
        if not self._streaming:
            self._streaming = True
            self._writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data) if data else b"")
        await self._writer.drain()

    async def event(self, body: object) -> None:
        await self.raw(b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n")

    async def text(self, text: str) -> None:
        await self.raw(TEXT_EVENT % json.dumps(text, ensure_ascii=False).encode())

    async def token(self) -> None:
        number = next(self._numbers)
        self._sent += 1
        await self.text(f"@{time.time() * 1000:.3f}; " if self.server.clock else f"t{number} ")

    async def say(self, count: int) -> None:
        for _ in range(count):
            await self.token()

    async def reason(self, reason: str = "stop") -> None:
        await self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})

    async def sign_off(self) -> None:
        """finish_reason, usage when it was asked for, [DONE], and the end of the body."""
        await self.reason()
        if (self.request.body.get("stream_options") or {}).get("include_usage"):
            await self.event({"choices": [], "usage": self.usage()})
        await self.raw(b"data: [DONE]\n\n")
        await self.end()

    def usage(self) -> dict[str, int]:
        return {"prompt_tokens": 7, "completion_tokens": self._sent, "total_tokens": 7 + self._sent}

    async def end(self) -> None:
        await self.raw(b"")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def cut(self) -> None:
        self.keeps_connection = False
        self._writer.close()


# --- The scripts


async def perform(answer: Answer, script: str) -> None:
    """Follow `script`, such as paced-50-200."""
    kind, *numbers = (script,) if script in SCRIPTS else script.split("-")
    await SCRIPTS[kind](answer, *(int(number) for number in numbers))


def script(name: str) -> Callable[[Script], Script]:
    def register(function: Script) -> Script:
        SCRIPTS[name] = function
        return function

    return register


async def silence() -> None:
    await asyncio.Event().wait()


@script("say")
async def say(answer: Answer, count: int) -> None:
    await answer.say(count)
    await answer.sign_off()


@script("paced")
async def paced(answer: Answer, rate: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(1, count + 1):
        await answer.token()
        await asyncio.sleep(start + number / rate - loop.time())
    await answer.sign_off()


@script("hold")
async def hold(answer: Answer) -> None:
    await answer.raw(b"")
    pieces = iter(answer.server.pieces)
    async for _ in answer.releases():
        piece = next(pieces, None)
        await (answer.token() if piece is None else answer.text(piece))
    if answer.is_to_break:
        answer.cut()
    else:
        await answer.sign_off()


@script("hang")
async def hang(answer: Answer, count: int) -> None:
    await answer.raw(b"")
    await answer.say(count)
    await silence()


@script("mute")
async def mute(answer: Answer) -> None:
    await silence()


@script("drop")
async def drop(answer: Answer, count: int) -> None:
    await answer.raw(b"")
    await answer.say(count)
    answer.cut()


@script("close")
async def close(answer: Answer, count: int) -> None:
    await answer.say(count)
    await answer.end()


@script("garbage")
async def garbage(answer: Answer, count: int) -> None:
    for _ in range(count):
        await answer.raw(b"data: {oops\n\n:comment\n\ndata:\n\nnonsense\n\ndata: [1]\n\ndata: 7\n\ndata: \xff\xfe\n\n")
        await answer.token()
    await answer.sign_off()


@script("onlygarbage")
async def onlygarbage(answer: Answer) -> None:
    await answer.raw(b"<html>oops</html>\n\ndata: {oops\n\n: hello\n\ndata: [DONE]\n\n")
    await answer.end()


@script("comments")
async def comments(answer: Answer, pause_ms: int) -> None:
    while True:
        await answer.raw(b": ping\n\n")
        await asyncio.sleep(pause_ms / 1000)


@script("slowstart")
async def slowstart(answer: Answer, pause_ms: int, count: int) -> None:
    await asyncio.sleep(pause_ms / 1000)
    await say(answer, count)


@script("nosignoff")
async def nosignoff(answer: Answer, count: int) -> None:
    await answer.say(count)
    await answer.reason()
    await comments(answer, 50)


@script("nochoices")
async def nochoices(answer: Answer) -> None:
    await answer.event({"choices": []})
    await answer.say(3)
    await answer.event({"choices": [], "usage": answer.usage()})
    await answer.sign_off()


@script("midword-error")
async def midword_error(answer: Answer) -> None:
    await answer.text("hal")
    await answer.event({"error": {"message": "CUDA ran out\nof memory", "code": 500}})
    await answer.end()


@script("longline")
async def longline(answer: Answer) -> None:
    await answer.say(1)
    await answer.raw(b'data: {"choices": [{"delta": {"content": "')
    while True:
        await answer.raw(b"x" * 60_000)


@script("endless")
async def endless(answer: Answer) -> None:
    while True:
        await answer.text("word " * 2_000)


@script("unicode")
async def unicode_byte_by_byte(answer: Answer) -> None:
    event = {"choices": [{"index": 0, "delta": {"content": AWKWARD_TEXT}}]}
    for byte in b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\r\n\r\n":
        await answer.raw(bytes([byte]))
        await asyncio.sleep(0)
    await answer.sign_off()


@script("reasoning")
async def reasoning(answer: Answer) -> None:
    await answer.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]})
    await answer.event({"choices": [{"index": 0, "delta": {"reasoning_content": "let me think"}}]})
    await answer.say(2)
    await answer.sign_off()


@script("echo")
async def echo(answer: Answer) -> None:
    text = json.dumps(answer.request.body["messages"], ensure_ascii=False)
    for start in range(0, len(text), 400):
        await answer.text(text[start : start + 400])
    await answer.sign_off()


@script("whole")
async def whole(answer: Answer) -> None:
    message = {"role": "assistant", "content": "I am fine"}
    await answer.reply(200, {"choices": [{"message": message, "finish_reason": "stop"}], "usage": answer.usage()})


@script("verbatim")
async def verbatim(answer: Answer) -> None:
    await answer.raw(answer.server.body)
    await answer.end()


@script("plain-usage")
async def plain_usage(answer: Answer) -> None:
    if "stream_options" in answer.request.body:
        await answer.refuse(400, "Unknown parameter: 'stream_options'")
    else:
        await say(answer, 3)


@script("status")
async def status(answer: Answer, code: int) -> None:
    await answer.refuse(code, "fault on request")


# --- By hand, and for the bench


async def _serve(port: int) -> None:
    server = ScriptedModel(port=port, clock=True)
    await server.serve(lambda: print(server.port, flush=True))  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description="A model server that follows a script.")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one, which is printed")
    port = parser.parse_args().port
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(port))


if __name__ == "__main__":
    main()
