"""Vectors by owner, found by nearness: the only importer of Chroma, to which ids and vectors are given, never a text.

It is embedded, in DATA_DIR/vectors, or a server (CHROMA_HOST). All calls to it run on one thread of ours, which imports
it at the first one, and nobody waits for that thread longer than SEARCH_SECONDS or CALL_SECONDS: what is down, hangs or
makes no sense is `VectorsUnavailable`. An embedded store belongs to the one process that holds a lock beside it.

What is in it can be derived again, so a store that is corrupt is thrown away and begun anew. A store that was begun and
not yet acknowledged `was_rebuilt`: whoever fills it must do so from the start, and say so by `acknowledge_rebuilt`.

Chroma is no wall between users. A search asks for more than is wanted, without a filter, which is many times faster in
a shard than with one, and lets the caller's database keep what is the owner's; only when too little is left it filters.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx
from django.conf import settings

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection as Shard
    from chromadb.config import Settings
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

log = logging.getLogger(__name__)
T = TypeVar("T")
Keep = Callable[[Sequence[int]], Collection[int]]

CALL_SECONDS = 30.0
# What a reply that is waited for may lose here; importing Chroma takes longer, and goes on without its first asker.
SEARCH_SECONDS = 1.0
CONNECT_SECONDS = 2.0
SHARDS = 16
# What one call may add or delete, so that a search does not wait long behind it.
BATCH = 100
# How many times what is wanted is asked for without a filter.
SURPLUS = 4

_PREFIX = "vectors-"
_LOOK_BYTES = 32
# SQLite's busy, read-only, failed I/O, full and cannot open: nothing of which is mended by throwing the store away.
_PASSING = ("(code: 5)", "(code: 8)", "(code: 10)", "(code: 13)", "(code: 14)", "(code: 778)", "os error")


class VectorsError(Exception):
    """The vectors cannot be had."""


class VectorsUnavailable(VectorsError):
    """Not now: Chroma is down, hangs or was just begun anew. Try again later."""


class VectorsElsewhere(VectorsUnavailable):
    """Another process of this machine holds the embedded store."""


class EmbedderMismatch(VectorsError):
    """Another embedder filled the store; `clear` it, and fill it anew."""

    def __init__(self, found: str, wanted: str) -> None:
        self.found, self.wanted = found, wanted
        super().__init__(f"The vectors were made by {found}, not by {wanted}.")


class Match(NamedTuple):
    """A vector that is near; `score` is the cosine of the angle between the two."""

    id: int
    score: float


class VectorStore:
    """The vectors that one embedder made. Its methods block, may be called from any thread, and raise VectorsError."""

    def __init__(self, embedder: str, dimension: int) -> None:
        self.embedder, self.dimension = embedder, dimension
        self._chroma = _Chroma(embedder, dimension)
        self._worker = _Worker()

    def add(self, owner_id: int, vectors: Mapping[int, Vector]) -> None:
        """Store them, each instead of the one with its id."""
        for batch in _batches(vectors.items()):
            self._call(partial(self._chroma.upsert, owner_id, batch))

    def delete(self, owner_id: int, ids: Collection[int]) -> None:
        """Those that are there are gone."""
        for batch in _batches(ids):
            self._call(partial(self._chroma.delete, owner_id, batch))

    def search(self, owner_id: int, vector: Vector, limit: int, keep: Keep) -> list[Match]:
        """The nearest of those that `keep` keeps, nearest first. It is called in the caller's thread."""
        asked = SURPLUS * limit
        near = self._nearest(owner_id, vector, asked, None)
        found = _kept(near, keep)
        if len(found) < limit and len(near) == asked:
            found = _kept(self._nearest(owner_id, vector, asked, {"owner": owner_id}), keep)
        return found[:limit]

    def vectors(self, owner_id: int, ids: Collection[int]) -> dict[int, Vector]:
        """The vectors with these ids, of those that are there."""
        if not ids:
            return {}
        rows = self._call(lambda: self._chroma.embeddings(owner_id, ids), SEARCH_SECONDS)
        return {int(pk): vector for pk, vector in zip(rows["ids"], rows["embeddings"], strict=True)}

    def count(self) -> int:
        """How many there are."""
        return self._call(self._chroma.count)

    def clear(self) -> None:
        """Throw everything away, what other embedders left as well; the store then counts as rebuilt."""
        self._call(self._chroma.clear, accepts_mismatch=True)

    @property
    def was_rebuilt(self) -> bool:
        """Whether it was begun, for the first time or anew, and nobody has acknowledged it."""
        return not self._call(lambda: self._chroma.is_acknowledged)

    def acknowledge_rebuilt(self) -> None:
        """Everything is marked to be filled in: from now on what is in the store is what was put there."""
        self._call(self._chroma.acknowledge)

    def close(self) -> None:
        """Let go of the store; the next call opens it again."""
        with suppress(VectorsError):
            self._worker.call(self._chroma.close, CALL_SECONDS)

    def _nearest(self, owner_id: int, vector: Vector, limit: int, where: dict[str, int] | None) -> list[Match]:
        rows = self._call(lambda: self._chroma.nearest(owner_id, vector, limit, where), SEARCH_SECONDS)
        return [Match(int(pk), 1 - float(far)) for pk, far in zip(rows["ids"][0], rows["distances"][0], strict=True)]

    def _call(self, call: Callable[[], T], seconds: float | None = None, *, accepts_mismatch: bool = False) -> T:
        guarded = partial(self._chroma.guard, call, accepts_mismatch=accepts_mismatch)
        return self._worker.call(guarded, seconds or CALL_SECONDS)


def _kept(matches: Sequence[Match], keep: Keep) -> list[Match]:
    kept = set(keep([match.id for match in matches])) if matches else set()
    return [match for match in matches if match.id in kept]


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch


class _Worker:
    """One thread, begun at the first call, which may hang without anybody hanging with it."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._hangs = threading.Event()

    def call(self, call: Callable[[], T], seconds: float) -> T:
        """What `call` returns or raises, on the thread. While an earlier one hangs, VectorsUnavailable at once."""
        self._start()
        if self._hangs.is_set():
            raise VectorsUnavailable("Chroma does not answer.")
        answer: Future[T] = Future()
        self._calls.put((answer, call))
        try:
            return answer.result(seconds)
        except TimeoutError:
            if not answer.done():
                if not answer.cancel():
                    self._hangs.set()
                raise VectorsUnavailable("Chroma does not answer.") from None
            raise

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                # A daemon, since a process must be able to end while this hangs.
                self._thread = threading.Thread(target=self._run, name="vectors", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            answer, call = self._calls.get()
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(call())
                except BaseException as fault:  # noqa: BLE001 -- a panic in Chroma's Rust is no Exception
                    answer.set_exception(fault)
            self._hangs.clear()


class _Chroma:
    """The client and its collections; only the worker's thread comes in here."""

    def __init__(self, embedder: str, dimension: int) -> None:
        self._about = {"embedder": embedder, "dimension": dimension}
        fingerprint = hashlib.sha256(f"{embedder}/{dimension}".encode()).hexdigest()[:12]
        self._name = f"{_PREFIX}{fingerprint}-"
        self._client: ClientAPI | None = None
        self._lock: int | None = None
        self._is_server = False
        self._shards: dict[int, Shard] = {}
        self._mismatch: EmbedderMismatch | None = None
        self.is_acknowledged = False

    def guard(self, call: Callable[[], T], *, accepts_mismatch: bool) -> T:
        """What `call` returns, with the store open, and with whatever goes wrong as a VectorsError."""
        try:
            self._open(accepts_mismatch=accepts_mismatch)
            return call()
        except VectorsError:
            raise
        except BaseException as fault:
            if isinstance(fault, (KeyboardInterrupt, SystemExit)):
                raise
            raise self._judged(fault) from fault

    def shard(self, owner_id: int) -> Shard:
        """The collection with the vectors of this owner; looked into at its first use, so that loss is noticed."""
        number = owner_id % SHARDS
        if number not in self._shards:
            shard = self._collection(f"{number:02d}")
            shard.get(limit=1, include=["embeddings"])
            self._shards[number] = shard
        return self._shards[number]

    def upsert(self, owner_id: int, batch: Sequence[tuple[int, Vector]]) -> None:
        """Each with whose it is, for a search that filters."""
        ids: list[str] = [str(pk) for pk, _ in batch]
        vectors: list[Any] = [vector for _, vector in batch]
        self.shard(owner_id).upsert(ids=ids, embeddings=vectors, metadatas=[{"owner": owner_id}] * len(ids))

    def delete(self, owner_id: int, ids: Sequence[int]) -> None:
        """Those that are there."""
        self.shard(owner_id).delete(ids=[str(pk) for pk in ids])

    def embeddings(self, owner_id: int, ids: Collection[int]) -> Any:
        """Ids and vectors, as Chroma has them."""
        return self.shard(owner_id).get(ids=[str(pk) for pk in ids], include=["embeddings"])

    def nearest(self, owner_id: int, vector: Vector, limit: int, where: dict[str, int] | None) -> Any:
        """Ids and distances, as Chroma has them."""
        asked: dict[str, Any] = {"query_embeddings": [vector], "n_results": limit, "where": where}
        return self.shard(owner_id).query(**asked, include=["distances"])

    def count(self) -> int:
        """Of all shards."""
        return sum(self._collection(f"{number:02d}").count() for number in range(SHARDS))

    def clear(self) -> None:
        """Every collection of ours, whichever embedder it is of."""
        for name in self._ours():
            self._connected.delete_collection(name)
        self._forget()

    def acknowledge(self) -> None:
        """A collection without vectors stands for it, so that the process may end in between."""
        self._collection("ready")
        self.is_acknowledged = True

    def close(self) -> None:
        """Let go of client and lock."""
        self._disconnect()
        if self._lock is not None:
            os.pwrite(self._lock, _look(_folder()), 0)
            os.close(self._lock)
            self._lock = None

    @property
    def _connected(self) -> ClientAPI:
        assert self._client is not None
        return self._client

    def _open(self, *, accepts_mismatch: bool) -> None:
        if self._client is None:
            self._is_server = bool(settings.CHROMA_HOST)
            self._client = _server(settings.CHROMA_HOST) if self._is_server else self._embedded()
            self._look_around()
        if self._mismatch is not None and not accepts_mismatch:
            raise self._mismatch

    def _embedded(self) -> ClientAPI:
        if self._lock is None:
            self._lock = _locked(_folder().with_suffix(".lock"))
        if not _is_as_left(self._lock) and _kills(_folder()):
            log.error("the vectors in %s are so corrupt that they end whoever reads them", _folder())
            shutil.rmtree(_folder(), ignore_errors=True)
        import chromadb

        return chromadb.PersistentClient(_folder(), settings=_options())

    def _look_around(self) -> None:
        ours = self._ours()
        self.is_acknowledged = f"{self._name}ready" in ours
        wanted = self._about["embedder"]
        others = (found for found in ours.values() if found != wanted)
        self._mismatch = next((EmbedderMismatch(found, str(wanted)) for found in others), None)

    def _ours(self) -> dict[str, str]:
        """The names of our collections, with the embedder of each."""
        listed = (each for each in self._connected.list_collections() if each.name.startswith(_PREFIX))
        return {each.name: str((each.metadata or {}).get("embedder", "nobody knows what")) for each in listed}

    def _collection(self, name: str) -> Shard:
        return self._connected.get_or_create_collection(
            self._name + name,
            metadata=self._about,
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine", "num_threads": 1}},
        )

    def _judged(self, fault: BaseException) -> VectorsError:
        """What a fault means. Inside an embedded store, most mean that it is corrupt."""
        said = f"{type(fault).__name__}: {fault}"
        is_corrupt = type(fault).__name__ in {"InternalError", "PanicException"}
        if self._is_server or self._lock is None or not is_corrupt or any(code in said for code in _PASSING):
            self._disconnect()
            return VectorsUnavailable(f"Chroma failed. {said}")
        log.error("the vectors in %s are corrupt and are made anew: %s", _folder(), said)
        self._disconnect()
        _forget_clients()
        shutil.rmtree(_folder(), ignore_errors=True)
        return VectorsUnavailable("The vectors were corrupt, and are made anew.")

    def _disconnect(self) -> None:
        """Let go of the client, not of the lock."""
        client, self._client = self._client, None
        self._forget()
        if client is not None:
            if self._is_server:
                for session in _sessions(client):
                    session.close()
            client.close()
            _forget_clients()

    def _forget(self) -> None:
        self._shards.clear()
        self._mismatch, self.is_acknowledged = None, False


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "vectors"


def _locked(path: Path) -> int:
    """The open file, locked until it is closed or the process is gone."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise VectorsElsewhere("Another process holds the vectors.") from None
    return file


# Reads every collection of a store, in a process of its own.
_READ_ALL = """
import sys, chromadb
settings = chromadb.Settings(_env_file=None, anonymized_telemetry=False)
for collection in chromadb.PersistentClient(sys.argv[1], settings=settings).list_collections():
    if len((found := collection.get(limit=1, include=["embeddings"]))["ids"]):
        collection.query(query_embeddings=found["embeddings"], n_results=100, include=[])
"""


def _kills(folder: Path) -> bool:
    """Whether reading the store ends the process that does: Chroma's index trusts its files."""
    if not folder.exists():
        return False
    command = [sys.executable, "-c", _READ_ALL, str(folder)]
    read = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 -- all of it is ours
    return read.returncode < 0


def _is_as_left(lock: int) -> bool:
    """Whether the store was closed in order and nobody touched it since."""
    left = os.pread(lock, _LOOK_BYTES, 0)
    os.truncate(lock, 0)
    return left == _look(_folder())


def _look(folder: Path) -> bytes:
    """What the folder looks like from outside: names, sizes and times of its files."""
    files = [(str(path), path.stat()) for path in sorted(folder.rglob("*"))]
    seen = repr([(name, at.st_size, at.st_mtime_ns) for name, at in files])
    return hashlib.sha256(seen.encode()).digest()


def _server(address: str) -> ClientAPI:
    """Its client waits forever, from its making on: so the server is asked for a sign of life first, and the client
    told not to."""
    import chromadb

    parts = urlsplit(address if "://" in address else f"http://{address}")
    is_tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if is_tls else 8000)
    patience = httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS)
    httpx.get(f"{parts.scheme}://{parts.netloc}/api/v2/heartbeat", timeout=patience).raise_for_status()
    client = chromadb.HttpClient(host, port, ssl=is_tls, settings=_options())
    for session in _sessions(client):
        session.timeout = patience
    return client


def _sessions(client: ClientAPI) -> list[httpx.Client]:
    """A client's connections, its own and its administrator's, which it neither bounds nor closes itself."""
    own: Any = client
    return [own._server._session, own._admin_client._server._session]  # noqa: SLF001 -- there is no other door


def _options() -> Settings:
    """Chroma's own settings: ours, and neither a `.env` nor anybody who is told that we are here."""
    from chromadb.config import Settings

    return Settings(_env_file=None, anonymized_telemetry=False)


def _forget_clients() -> None:
    """Chroma keeps what it failed to open, by its path."""
    from chromadb.api.shared_system_client import SharedSystemClient

    SharedSystemClient.clear_system_cache()


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
