"""Which models the server has, and which of them answers when none is named.

TabbyAPI says in `/v1/model` which one is loaded. Of any other server the first one listed is taken. What was read is
kept for a few seconds; a turn never waits for news while what is known is less than a minute old. A server that cannot
be reached has no models: nothing in here raises because of it.

Views call `list_models`, `active_model` and `is_reachable`, which may block for up to two seconds; coroutines await
`active_model_id` and `context_length`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from apps.llm.errors import LLMNotConfigured
from apps.llm.server import ModelServer

log = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
FRESH_SECONDS_WHEN_DOWN = 1.0
USABLE_SECONDS = 60.0
REQUEST_SECONDS = 2.0
MAX_BYTES = 4 << 20
MAX_ID_LENGTH = 200
# Where servers say how many tokens a model reads, the length that is really served before the one it was trained for.
LENGTH_KEYS = ("max_model_len", "max_seq_len", "context_length", "max_context_length", "n_ctx", "n_ctx_train")


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the server. At most one is active."""

    id: str
    name: str
    active: bool
    context_length: int | None


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What a server said at one time."""

    server: ModelServer
    is_reachable: bool = False
    models: tuple[Model, ...] = ()
    read_at: float = field(default_factory=time.monotonic)

    @property
    def is_fresh(self) -> bool:
        return self._age < (FRESH_SECONDS if self.is_reachable else FRESH_SECONDS_WHEN_DOWN)

    @property
    def is_usable(self) -> bool:
        return self.is_fresh or (self.is_reachable and self._age < USABLE_SECONDS)

    @property
    def _age(self) -> float:
        return time.monotonic() - self.read_at


def list_models() -> list[Model]:
    """Every model, in the server's order."""
    return list(_shelf.now().models)


def active_model() -> Model | None:
    """The one that answers when none is named."""
    return _active(_shelf.now())


def is_reachable() -> bool:
    """Whether the server answered at all."""
    return _shelf.now().is_reachable


async def active_model_id() -> str | None:
    """The id of the active model."""
    active = _active(await _shelf.soon())
    return active.id if active else None


async def context_length(model_id: str) -> int | None:
    """How many tokens the model reads, where the server tells."""
    known = {model.id: model.context_length for model in (await _shelf.soon()).models}
    return known.get(model_id)


def forget() -> None:
    """Ask the server again the next time: something about it was changed."""
    _shelf.clear()


def _active(snapshot: _Snapshot) -> Model | None:
    return next((model for model in snapshot.models if model.active), None)


# --- What is known, and getting to know it


class _Shelf:
    """The latest snapshot. However many ask at once, the server is asked once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: _Snapshot | None = None
        self._reading: tuple[ModelServer, Future[_Snapshot]] | None = None
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llm-catalog")

    def now(self) -> _Snapshot:
        """A fresh one; blocks while the server is asked."""
        latest = self._latest_of(server := ModelServer.from_settings())
        return latest if latest and latest.is_fresh else self._read(server).result()

    async def soon(self) -> _Snapshot:
        """A usable one, without waiting where there is one; a fresh one is then on its way."""
        latest = self._latest_of(server := ModelServer.from_settings())
        if latest and latest.is_fresh:
            return latest
        reading = self._read(server)
        return latest if latest and latest.is_usable else await asyncio.shield(asyncio.wrap_future(reading))

    def clear(self) -> None:
        with self._lock:
            self._latest = self._reading = None

    def _latest_of(self, server: ModelServer) -> _Snapshot | None:
        latest = self._latest
        return latest if latest and latest.server == server else None

    def _read(self, server: ModelServer) -> Future[_Snapshot]:
        with self._lock:
            if self._reading and self._reading[0] == server:
                reading = self._reading[1]
                if not reading.done() or reading.result().is_fresh:
                    return reading
            reading = self._reader.submit(self._read_and_keep, server)
            self._reading = server, reading
            return reading

    def _read_and_keep(self, server: ModelServer) -> _Snapshot:
        snapshot = _read(server)
        with self._lock:
            if self._reading and self._reading[0] == server:
                self._latest = snapshot
        return snapshot


_shelf = _Shelf()


# --- Asking the server


class _Unanswered(Exception):
    """The server did not answer, or with too much, or too slowly."""


def _read(server: ModelServer) -> _Snapshot:
    try:
        with httpx.Client(**server.options(), timeout=REQUEST_SECONDS) as http:
            deadline = time.monotonic() + REQUEST_SECONDS
            status, listed = _get(http, "models", deadline)
            loaded = _get(http, "model", deadline) if status == httpx.codes.OK else None
    except LLMNotConfigured:
        return _Snapshot(server)
    except (httpx.HTTPError, _Unanswered) as exc:
        log.warning("the model server's list of models could not be read: %s", type(exc).__name__)
        return _Snapshot(server)
    return _Snapshot(server, is_reachable=True, models=tuple(_models(listed, loaded)))


def _get(http: httpx.Client, path: str, deadline: float) -> tuple[int, object]:
    """Status and JSON body; None where it is not JSON."""
    raw = bytearray()
    with http.stream("GET", path) as response:
        for chunk in response.iter_raw():
            raw += chunk
            if len(raw) > MAX_BYTES or time.monotonic() > deadline:
                raise _Unanswered
    try:
        return response.status_code, json.loads(raw)
    except (ValueError, RecursionError):
        return response.status_code, None


def _models(listed: object, loaded: tuple[int, object] | None) -> Iterator[Model]:
    entries = {model_id: entry for entry in _entries(listed) if (model_id := _id(entry))}
    active_id = next(iter(entries), "")
    match loaded:
        case 200, dict() as entry:
            active_id = _id(entry)
            if active_id:
                entries[active_id] = {**entries.get(active_id, {}), **entry}
        case 400 | 503, _:
            active_id = ""  # TabbyAPI with nothing loaded
    for model_id, entry in entries.items():
        yield Model(model_id, _name(entry) or model_id, model_id == active_id, _context_length(entry))


def _entries(listed: object) -> Iterator[dict[str, object]]:
    match listed:
        case {"data": [*entries]}:
            yield from (entry for entry in entries if isinstance(entry, dict))


def _id(entry: dict[str, object]) -> str:
    """Its id; empty where it has none that could be stored and sent back."""
    model_id = entry.get("id")
    fits = isinstance(model_id, str) and len(model_id) <= MAX_ID_LENGTH and model_id.isprintable()
    return str(model_id) if fits else ""


def _name(entry: dict[str, object]) -> str:
    return _id({"id": entry.get("name")})


def _context_length(entry: dict[str, object]) -> int | None:
    places = (entry, entry.get("meta"), entry.get("parameters"))
    said = (place.get(key) for key in LENGTH_KEYS for place in places if isinstance(place, dict))
    return next((length for length in said if isinstance(length, int) and length > 0), None)
