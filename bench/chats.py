"""Clients that ask and note what arrives when: one over the product's socket, one straight at the model server.

Both are kept light, since they share the machine with what they measure: while a chat runs they note the clock and the
raw data, nothing else; the rest is worked out afterwards. The scripted model server writes into every token the clock
at which it left.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from bench.processes import PATIENCE, BenchFailed

QUESTION = "What is there to see from here?"
_STAMP = re.compile(r"@(\d+\.\d+); ")
_TYPE = re.compile(r'"type": ?"([a-z.]+)"')
_ENDS = {"message.completed", "message.stopped", "message.failed", "error"}
_END_OF_BODY = b"\r\n0\r\n\r\n"

# What arrived, after the clock at which it did.
Piece = tuple[float, str]


@dataclass(frozen=True)
class Reading:
    """When an answer was asked for, and for each of its tokens when it left the model server and when it arrived."""

    asked_at: float
    tokens: Sequence[tuple[float, float]]

    @classmethod
    def of(cls, asked_at: float, pieces: Iterable[Piece]) -> Self:
        """Find the tokens in text that came in pieces, wherever it was cut."""
        tokens = []
        rest = ""
        for arrived_at, text in pieces:
            rest += text
            end = 0
            for stamp in _STAMP.finditer(rest):
                tokens.append((float(stamp[1]) / 1000, arrived_at))
                end = stamp.end()
            rest = rest[end:]
        if not tokens:
            raise BenchFailed("An answer had no tokens.")
        return cls(asked_at, tokens)

    @property
    def first_token_ms(self) -> float:
        """From asking to the first token."""
        return (self.tokens[0][1] - self.asked_at) * 1000

    @property
    def delays_ms(self) -> list[float]:
        """How long each token was under way."""
        return [(arrived_at - left_at) * 1000 for left_at, arrived_at in self.tokens]


# --- The product


class Person:
    """Somebody signed in, as a browser would be: by two cookies, and with an Origin."""

    def __init__(self, origin: str, cookies: dict[str, str]) -> None:
        self.origin = origin
        self._cookies = cookies

    @classmethod
    async def set_up(cls, origin: str) -> Self:
        """Make the first account of a new installation, which signs it in."""
        account = {"email": "bench@example.org", "display_name": "Bench", "password": "to see how quick it is"}
        async with httpx.AsyncClient(base_url=origin, headers={"Origin": origin}, timeout=PATIENCE) as browser:
            await browser.get("/setup")
            form = account | {"csrfmiddlewaretoken": browser.cookies.get("csrftoken", "")}
            answer = await browser.post("/setup", data=form)
            if "session_token" not in browser.cookies:
                raise BenchFailed(f"The first account could not be made: {answer.status_code} {answer.text}")
            return cls(origin, dict(browser.cookies))

    async def new_conversations(self, count: int, *, memory: bool = True) -> list[int]:
        """The ids of conversations made now."""
        async with self.browser() as browser:
            answers = [await browser.post("/api/chat/conversations", json={"memory": memory}) for _ in range(count)]
        return [int(answer.raise_for_status().json()["id"]) for answer in answers]

    async def stored_answers(self, conversations: Sequence[int]) -> list[str]:
        """The last message of each conversation, as the API tells it."""
        async with self.browser() as browser:
            answers = [await browser.get(f"/api/chat/conversations/{each}") for each in conversations]
        return [str(answer.raise_for_status().json()["messages"][-1]["content"]) for answer in answers]

    @asynccontextmanager
    async def chat(self, conversation: int, *, as_html: bool = False) -> AsyncIterator[ProductChat]:
        """A socket on the conversation, its snapshot received; `as_html` opens it as our pages do."""
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        path = f"/ws/conversations/{conversation}/{'?render=html' if as_html else ''}"
        address = self.origin.replace("http", "ws", 1) + path
        async with connect(address, origin=Origin(self.origin), additional_headers={"Cookie": cookies}) as socket:
            await socket.recv()
            yield ProductChat(socket)

    def browser(self) -> httpx.AsyncClient:
        headers = {"Origin": self.origin, "X-CSRFToken": self._cookies["csrftoken"]}
        return httpx.AsyncClient(base_url=self.origin, cookies=self._cookies, headers=headers, timeout=PATIENCE)


class ProductChat:
    """A conversation that is open over a WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def ask(self, model: str, question: str = QUESTION) -> ProductAnswer:
        """Send a message and receive until its answer has ended."""
        frames: list[Piece] = []
        command = json.dumps({"type": "message.send", "content": question, "model": model})
        asked_at = time.time()
        await self._socket.send(command)
        kind = ""
        async with asyncio.timeout(PATIENCE):
            while kind not in _ENDS:
                frame = await self._socket.recv(decode=True)
                frames.append((time.time(), frame))
                kind = _type_of(frame)
        return ProductAnswer(asked_at, frames)


def _type_of(frame: str) -> str:
    """Much cheaper than parsing the frame."""
    found = _TYPE.search(frame)
    return found[1] if found else ""


class ProductAnswer:
    """The frames of one turn."""

    def __init__(self, asked_at: float, frames: Sequence[Piece]) -> None:
        self._asked_at = asked_at
        self._frames = [(at, json.loads(frame)) for at, frame in frames]

    @property
    def reading(self) -> Reading:
        """When each token arrived."""
        return Reading.of(self._asked_at, [(at, frame["text"]) for at, frame in self._deltas()])

    def faults(self, *, tokens: int, stored: str) -> Faults:
        """Compare what the deltas say with how many tokens there were, what the last frame says, and what is stored."""
        _, last = self._frames[-1]
        if last["type"] != "message.completed":
            raise BenchFailed(f"A turn ended with {last}.")
        told = last["message"]["content"]
        heard = "".join(frame["text"] for _, frame in self._deltas())
        stamps = _STAMP.findall(heard)
        numbers = [0, *(frame["seq"] for _, frame in self._deltas())]
        return Faults(
            tokens_lost=tokens - len(set(stamps)),
            tokens_doubled=len(stamps) - len(set(stamps)),
            frames_out_of_order=sum(second != first + 1 for first, second in pairwise(numbers)),
            texts_unlike=int(not heard == told == stored),
        )

    def _deltas(self) -> list[tuple[float, Any]]:
        return [(at, frame) for at, frame in self._frames if frame["type"] == "generation.delta"]


@dataclass(frozen=True)
class Faults:
    """What went wrong with an answer on its way; all zero is the only good outcome."""

    tokens_lost: int
    tokens_doubled: int
    frames_out_of_order: int
    texts_unlike: int


# --- The model server itself


class DirectChat:
    """A connection of its own to the model server, spoken to in plain HTTP/1.1: nothing could be quicker."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect now, so that asking does not have to."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    async def ask(self, model: str) -> Reading:
        """Ask and read until the answer has ended."""
        pieces: list[Piece] = []
        request = _request(model)
        asked_at = time.time()
        reader, writer = await self.connect()
        writer.write(request)
        tail = b""
        async with asyncio.timeout(PATIENCE):
            while tail != _END_OF_BODY:
                if not (data := await reader.read(65536)):
                    raise BenchFailed("The model server closed its connection.")
                pieces.append((time.time(), data.decode()))
                tail = (tail + data)[-len(_END_OF_BODY) :]
        return Reading.of(asked_at, pieces)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()


def _request(model: str) -> bytes:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    raw = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(raw)}\r\n\r\n"
    return head.encode() + raw
