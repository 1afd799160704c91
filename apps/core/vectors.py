"""Vectors by owner, found by nearness. Chroma, which keeps them, is given ids and vectors, never a text.

It is embedded, in DATA_DIR/vectors, or a server (CHROMA_HOST); either way it is asked in a process of its own
(`apps.core.chroma`), begun at the first call, which nobody waits for longer than SEARCH_SECONDS or CALL_SECONDS: what
is down, hangs or makes no sense is `VectorsUnavailable`. An embedded store belongs to the one web process whose own
process holds a lock beside it.

What is in it can be derived again, so a store that is corrupt is thrown away and begun anew. A store that was begun and
not yet acknowledged `was_rebuilt`: whoever fills it must do so from the start, and say so by `acknowledge_rebuilt`.

Chroma is no wall between users. A search asks for more than is wanted, without a filter, which is many times faster in
a shard than with one, and lets the caller's database keep what is the owner's; only when too little is left it filters.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from django.conf import settings

from apps.core.chroma import (
    SHARDS,
    EmbedderMismatch,
    Match,
    Place,
    VectorsCorrupt,
    VectorsElsewhere,
    VectorsError,
    VectorsUnavailable,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

__all__ = [
    "SHARDS",
    "EmbedderMismatch",
    "Match",
    "VectorStore",
    "VectorsCorrupt",
    "VectorsElsewhere",
    "VectorsError",
    "VectorsUnavailable",
    "close",
    "end",
    "store",
]

log = logging.getLogger(__name__)
T = TypeVar("T")
Keep = Callable[[Sequence[int]], Collection[int]]

CALL_SECONDS, CLOSE_SECONDS = 30.0, 5.0
# What a reply that is waited for may lose here, with time left for words; and while Chroma is only being opened, which
# takes longer than anybody would wait, and goes on without its first asker.
SEARCH_SECONDS, OPENING_SECONDS = 0.5, 0.02
# What one call may add or delete, so that a search does not wait long behind it.
BATCH = 25
# How many times what is wanted is asked for without a filter.
SURPLUS = 4


class VectorStore:
    """The vectors that one embedder made. Its methods block, may be called from any thread, and raise VectorsError."""

    def __init__(self, embedder: str, dimension: int) -> None:
        self.embedder, self.dimension = embedder, dimension
        self._chroma = _Chroma()

    def add(self, owner_id: int, vectors: Mapping[int, Vector]) -> None:
        """Store them, each instead of the one with its id."""
        for batch in _batches(vectors.items()):
            self._ask("upsert", owner_id, batch)

    def delete(self, owner_id: int, ids: Collection[int]) -> None:
        """Those that are there are gone."""
        for batch in _batches(ids):
            self._ask("delete", owner_id, batch)

    def purge(self, owner_id: int) -> None:
        """Leave no trace of what was deleted of the owner in the files of an embedded store. Not for every deletion by
        itself: it takes as long as reading and writing the owner's shard."""
        self._ask("purge", owner_id)

    def search(self, owner_id: int, vector: Vector, limit: int, keep: Keep) -> list[Match]:
        """The nearest of those that `keep` keeps, nearest first. It is called in the caller's thread."""
        return self.begin_search(owner_id, vector, limit)(keep)

    def begin_search(self, owner_id: int, vector: Vector, limit: int) -> Callable[[Keep], list[Match]]:
        """The same in two steps, between which there is time for something else: Chroma works meanwhile."""
        asked = SURPLUS * limit
        nearest = _waiting.submit(self._nearest, owner_id, vector, asked, only_theirs=False)

        def answer(keep: Keep) -> list[Match]:
            found = _kept(near := nearest.result(), keep)
            if len(found) < limit and len(near) == asked:
                found = _kept(self._nearest(owner_id, vector, asked, only_theirs=True), keep)
            return found[:limit]

        return answer

    def vectors(self, owner_id: int, ids: Collection[int]) -> dict[int, Vector]:
        """The vectors with these ids, of those that are there."""
        if not ids:
            return {}
        found = self._ask("vectors", owner_id, list(ids), seconds=SEARCH_SECONDS)
        return cast("dict[int, Vector]", found)

    def count(self) -> int:
        """How many there are."""
        return cast("int", self._ask("count"))

    def clear(self) -> None:
        """Throw everything away, what other embedders left as well; the store then counts as rebuilt."""
        self._ask("clear")

    @property
    def was_rebuilt(self) -> bool:
        """Whether it was begun, for the first time or anew, and nobody has acknowledged it."""
        return not self._ask("is_acknowledged")

    def acknowledge_rebuilt(self) -> None:
        """Everything is marked to be filled in: from now on what is in the store is what was put there."""
        self._ask("acknowledge")

    def close(self) -> None:
        """Let go of the store; the next call opens it again. A Chroma that does not answer soon is ended."""
        if not self._chroma.is_begun:
            return
        try:
            self._ask("close", seconds=CLOSE_SECONDS)
        except VectorsError:
            self._chroma.end()
        else:
            self._chroma.release()

    def _nearest(self, owner_id: int, vector: Vector, limit: int, *, only_theirs: bool) -> list[Match]:
        seconds = SEARCH_SECONDS if self._chroma.is_open else OPENING_SECONDS
        return cast("list[Match]", self._ask("nearest", owner_id, vector, limit, only_theirs, seconds=seconds))

    def _ask(self, verb: str, *arguments: object, seconds: float | None = None) -> object:
        folder = str(Path(settings.DATA_DIR) / "vectors")
        place = Place(self.embedder, self.dimension, folder, settings.CHROMA_HOST, CALL_SECONDS)
        return self._chroma.call(place, verb, arguments, seconds or CALL_SECONDS)


# One call is under way at a time; the other thread is for whoever waits for a turn.
_waiting = ThreadPoolExecutor(2, thread_name_prefix="vectors")


def _kept(matches: Sequence[Match], keep: Keep) -> list[Match]:
    kept = set(keep([match.id for match in matches])) if matches else set()
    return [match for match in matches if match.id in kept]


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch


class _Chroma:
    """Its process, asked by one caller at a time; it is started at the first call, and again when it has ended."""

    def __init__(self) -> None:
        self._process: _Process | None = None
        self._turn, self._next = threading.Lock(), threading.Lock()
        # Whether it has answered since it was started.
        self.is_open = False
        # When the call began that is under way or was given up, until it is answered.
        self._asked_at: float | None = None
        self._is_spoilt = False

    def call(self, place: Place, verb: str, arguments: Sequence[object], seconds: float) -> object:
        """The answer, if it is there in time. While an earlier call hangs, VectorsUnavailable at once."""
        self._refuse_if_it_hangs()
        with self._in_turn(seconds):
            process = self._ready(place, seconds)
            if self._is_spoilt:
                self._ask(process, (place, "discard", ()), CALL_SECONDS)
                self._is_spoilt = False
            answer = self._ask(process, (place, verb, arguments), seconds)
        if isinstance(answer, VectorsCorrupt):
            log.error("the vectors in %s were corrupt and are made anew: %s", place.folder, answer)
        if isinstance(answer, VectorsError):
            raise answer
        return answer

    @property
    def is_begun(self) -> bool:
        """Whether anything was asked yet."""
        return self._process is not None

    def release(self) -> None:
        """Leave the process, which has let go of its store, to whoever opens one next."""
        with self._in_turn(CALL_SECONDS):
            if self._process is not None:
                _idle.append(self._process)
                self._process, self.is_open = None, False

    @contextmanager
    def _in_turn(self, seconds: float) -> Iterator[None]:
        """Whoever waits for a turn goes before whoever had one and comes back at once."""
        _take(self._next, seconds)
        try:
            _take(self._turn, seconds)
        finally:
            self._next.release()
        try:
            yield
        finally:
            self._turn.release()

    def end(self) -> None:
        """Have no process any more, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.returncode()

    def _refuse_if_it_hangs(self) -> None:
        asked_at, process = self._asked_at, self._process
        if asked_at is None or process is None or process.has_answered():
            return
        waited = time.monotonic() - asked_at
        if waited > CALL_SECONDS:
            process.kill()
        elif waited > SEARCH_SECONDS:
            raise VectorsUnavailable("Chroma does not answer.")

    def _ready(self, place: Place, seconds: float) -> _Process:
        """The process, once it has answered what was given up; a new one where there is none any more."""
        if self._asked_at is not None and self._process is not None:
            self._answer(self._process, place, seconds)
        if self._process is None or not self._process.is_running:
            self._process, self.is_open = _Process.idle_or_new(), False
        return self._process

    def _ask(self, process: _Process, request: tuple[Place, str, Sequence[object]], seconds: float) -> object:
        self._asked_at = time.monotonic()
        with suppress(OSError):  # it is gone, which its answer says
            process.ask(request)
        return self._answer(process, request[0], seconds)

    def _answer(self, process: _Process, place: Place, seconds: float) -> object:
        if not process.has_answered(seconds):
            raise VectorsUnavailable("Chroma does not answer.")
        try:
            answer = process.answer()
        except (EOFError, OSError):
            answer = self._died(place, process.returncode())
        self._asked_at = None
        self.is_open = not isinstance(answer, VectorsError)
        return answer

    def _died(self, place: Place, returncode: int) -> VectorsError:
        """What it means that the process is gone: an index that is read without being checked ends its reader."""
        if -returncode in _CRASHES and not place.host:
            self._is_spoilt = True
            return VectorsCorrupt(f"Chroma ended by {signal.Signals(-returncode).name}.")
        return VectorsUnavailable(f"Chroma ended with status {returncode}.")


def _take(lock: threading.Lock, seconds: float) -> None:
    if not lock.acquire(timeout=seconds):
        raise VectorsUnavailable("Chroma does not answer.")


class _Process:
    """A process that runs `chroma.serve`, and the line to it."""

    def __init__(self) -> None:
        self._line, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- all of it is ours
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=_ROOT,
                env=_surroundings(),
            )

    @classmethod
    def idle_or_new(cls) -> _Process:
        """One that has no store open."""
        while _idle:
            if (process := _idle.pop()).is_running:
                return process
        return cls()

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, request: object) -> None:
        """Raises OSError when it is gone."""
        self._line.send(request)

    def has_answered(self, seconds: float = 0.0) -> bool:
        """Whether it answers, or ends, within this time."""
        return self._line.poll(seconds)

    def answer(self) -> object:
        """Waits for it; raises EOFError or OSError when it is gone."""
        return self._line.recv()

    def returncode(self) -> int:
        """How it ended; what does not end is ended."""
        try:
            return self._process.wait(CALL_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def kill(self) -> None:
        """At once, whatever it does."""
        self._process.kill()

    def end(self) -> None:
        """It closes what it has open, and ends, as soon as nobody is on the line."""
        self._line.close()
        self.returncode()


_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = "import sys; from apps.core.chroma import serve; serve(int(sys.argv[1]))"
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE})
# Of the environment it gets what programs and their libraries need, none of our settings, and no secret.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_OF_THE_NETWORK = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_idle: list[_Process] = []


def _surroundings() -> dict[str, str]:
    known = (*_PASSED_ON, *_OF_THE_NETWORK, *map(str.lower, _OF_THE_NETWORK))
    inherited = {name: os.environ[name] for name in known if name in os.environ}
    thrifty = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return inherited | thrifty | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


_store: VectorStore | None = None
_choosing = threading.Lock()


def store(embedder: str, dimension: int) -> VectorStore:
    """This process's store for the vectors of this embedder."""
    global _store  # noqa: PLW0603 -- one process has one
    with _choosing:
        if _store is None or (_store.embedder, _store.dimension) != (embedder, dimension):
            if _store is not None:
                _store.close()
            _store = VectorStore(embedder, dimension)
        return _store


def close() -> None:
    """Let go of it."""
    if _store is not None:
        _store.close()


@atexit.register
def end() -> None:
    """Let go of it, and end the processes that wait for another."""
    close()
    while _idle:
        _idle.pop().end()
