"""Chroma in a process of its own, which `apps.core.vectors` starts and asks; the only importer of Chroma.

A process of its own, because Chroma holds Python's lock for as long as it works, a tenth of a second for a hundred
vectors, in which nothing else of the asking process would move; because a corrupt index ends the process that reads it;
and because it writes memory to disk that it never filled. In here is nothing that anybody said: ids and vectors come
in, and the environment holds no secret.

It ends when whoever started it is gone, and lets go of the store in order. Requests are `(store, verb, arguments)`,
answered one after another by what the verb returns, or by a `VectorsError`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx
    import numpy as np
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection as Shard
    from chromadb.config import Settings
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

SHARDS = 16
# After how many changes a shard's index is written: as Chroma has it, and when it is to be written now.
CHANGES, FEW_CHANGES = 1000, 2
# An owner with no more vectors than these has each of them looked at.
FEW = 1000
CONNECT_SECONDS = 2.0

_EXPORTER = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
_PREFIX, _UNKNOWN = "vectors-", "nobody knows what"
# SQLite's busy, read-only, failed I/O, full and cannot open: nothing of which is mended by throwing the store away.
_PASSING = ("(code: 5)", "(code: 8)", "(code: 10)", "(code: 13)", "(code: 14)", "(code: 778)", "os error")


class VectorsError(Exception):
    """The vectors cannot be had."""


class VectorsUnavailable(VectorsError):
    """Not now: Chroma is down, hangs or was just begun anew. Try again later."""


class VectorsElsewhere(VectorsUnavailable):
    """Another process of this machine holds the embedded store."""


class VectorsCorrupt(VectorsUnavailable):
    """The embedded store was corrupt; it is thrown away, and begun anew at the next call."""


class EmbedderMismatch(VectorsError):
    """Another embedder filled the store; `clear` it, and fill it anew."""

    def __init__(self, found: str, wanted: str) -> None:
        self.found, self.wanted = found, wanted
        super().__init__(f"The vectors were made by {found}, not by {wanted}.")

    def __reduce__(self) -> tuple[type[EmbedderMismatch], tuple[str, str]]:
        return type(self), (self.found, self.wanted)


class Match(NamedTuple):
    """A vector that is near; `score` is the cosine of the angle between the two."""

    id: int
    score: float


class Place(NamedTuple):
    """Which store: of which embedder, in which folder, or on which server; and how long that may take to answer."""

    embedder: str
    dimension: int
    folder: str
    host: str
    patience: float


def serve(descriptor: int) -> None:
    """Answer what comes in, until nobody is there to ask."""
    _without_exporter()
    # Ctrl-C and a service manager mean whoever asks, and they end us in order.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    line, store = Connection(descriptor), None
    while True:
        try:
            place, verb, arguments = line.recv()
        except (EOFError, OSError):
            break
        if store is None or store.place != place:
            if store is not None:
                store.close()
            store = Store(place)
        try:
            line.send(store.answer(verb, arguments))
        except OSError:
            break
    if store is not None:
        store.close()


def _without_exporter() -> None:
    """Chroma loads all of gRPC to be able to send traces to somebody. There is nobody, and it is a tenth of what this
    process would hold."""
    exporter = ModuleType(_EXPORTER)
    exporter.OTLPSpanExporter = None  # type: ignore[attr-defined]
    sys.modules[_EXPORTER] = exporter


class _Damaged(Exception):
    """What is in the embedded store cannot have been put there."""


class Store:
    """The collections that one embedder filled."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._about = {"embedder": place.embedder, "dimension": place.dimension}
        fingerprint = hashlib.sha256(f"{place.embedder}/{place.dimension}".encode()).hexdigest()[:12]
        self._name = f"{_PREFIX}{fingerprint}-"
        self._client: ClientAPI | None = None
        self._lock: int | None = None
        self._shards: dict[int, Shard] = {}
        self._mismatch: EmbedderMismatch | None = None
        self._is_acknowledged = False

    def answer(self, verb: str, arguments: Sequence[Any]) -> object:
        """What the verb returns, or as a VectorsError what went wrong."""
        call: Callable[..., object] = getattr(self, verb)
        try:
            if verb not in {"close", "discard"}:
                self._open(accepts_mismatch=verb == "clear")
            return call(*arguments)
        except VectorsError as refusal:
            return refusal
        except BaseException as fault:  # noqa: BLE001 -- a panic in Chroma's Rust is no Exception
            return self._judged(fault)

    # --- The verbs

    def upsert(self, owner_id: int, batch: Sequence[tuple[int, Vector]]) -> None:
        """Each with whose it is, for a search that filters."""
        ids: list[str] = [str(pk) for pk, _ in batch]
        vectors: list[Any] = [vector for _, vector in batch]
        self._shard(owner_id).upsert(ids=ids, embeddings=vectors, metadatas=[{"owner": owner_id}] * len(ids))

    def delete(self, owner_id: int, ids: Iterable[int]) -> None:
        """Those that are there. Chroma only marks them and keeps their vectors in its index for good, so others are put
        in their place first: with the next index that it writes they are gone."""
        shard = self._shard(owner_id)
        there = shard.get(ids=[str(pk) for pk in ids], include=[])["ids"]
        if there:
            shard.upsert(ids=there, embeddings=self._noise(len(there)))
            shard.delete(ids=there)

    def purge(self, owner_id: int) -> None:
        """Leave no trace of what was deleted of this owner: from the numbers of a vector the words can be told.

        Chroma keeps what it was given in a log until it writes its index, a thousand changes later. So it is opened
        with a threshold of a few changes, and made to write; then its database is written anew without what was free
        in it. A server's files are its own.
        """
        if self.place.host:
            return
        self._sync_after(FEW_CHANGES, owner_id)
        self._open(accepts_mismatch=False)
        passing = [f"-{number}" for number in range(2 * FEW_CHANGES)]
        shard = self._shard(owner_id)
        shard.upsert(ids=passing, embeddings=self._noise(len(passing)), metadatas=[{"owner": 0}] * len(passing))
        shard.delete(ids=passing)
        self._sync_after(CHANGES, owner_id)
        with closing(sqlite3.connect(Path(self.place.folder) / "chroma.sqlite3")) as database:
            database.execute("VACUUM")

    def _sync_after(self, changes: int, owner_id: int) -> None:
        """Have the shard's index written after so many changes, which Chroma heeds once it is opened again."""
        self._shard(owner_id).modify(configuration={"hnsw": {"sync_threshold": changes}})
        self._disconnect()

    def _noise(self, count: int) -> Any:
        import numpy as np

        return np.random.default_rng().standard_normal((count, self.place.dimension), np.float32)

    def vectors(self, owner_id: int, ids: Collection[int]) -> dict[int, Vector]:
        """By id, those that are there."""
        rows: Any = self._shard(owner_id).get(ids=[str(pk) for pk in ids], include=["embeddings"])
        return {int(pk): vector for pk, vector in zip(rows["ids"], rows["embeddings"], strict=True)}

    def nearest(self, owner_id: int, vector: Vector, limit: int, only_theirs: bool) -> list[Match]:
        """The nearest first, of the owner's shard or of the owner's alone."""
        where: Any = {"owner": owner_id} if only_theirs else None
        if only_theirs and (found := self._nearest_of_few(owner_id, vector, limit)) is not None:
            return found
        asked: list[Any] = [vector]
        rows: Any = self._shard(owner_id).query(
            query_embeddings=asked, n_results=limit, where=where, include=["distances"]
        )
        return [Match(int(pk), 1 - float(far)) for pk, far in zip(rows["ids"][0], rows["distances"][0], strict=True)]

    def _nearest_of_few(self, owner_id: int, vector: Vector, limit: int) -> list[Match] | None:
        """Each of the owner's looked at, where they are few: with a filter the index may lose its way among others'
        that are all alike, and find none. None where they are many."""
        theirs: Any = {"owner": owner_id}
        rows: Any = self._shard(owner_id).get(where=theirs, limit=FEW + 1, include=["embeddings"])
        if len(rows["ids"]) > FEW:
            return None
        scores = [float(score) for score in rows["embeddings"] @ vector] if rows["ids"] else []
        found = sorted(zip(rows["ids"], scores, strict=True), key=lambda each: each[1], reverse=True)
        return [Match(int(pk), score) for pk, score in found[:limit]]

    def count(self) -> int:
        """Of all shards."""
        return sum(self._collection(f"{number:02d}").count() for number in range(SHARDS))

    def clear(self) -> None:
        """Every collection of ours, whichever embedder it is of; of an embedded store the folder, in which more would
        be left."""
        if self.place.host:
            for name in self._ours():
                self._connected.delete_collection(name)
            self._forget()
        else:
            self._disconnect()
            self._throw_away()

    def is_acknowledged(self) -> bool:
        """Whether somebody knows that the store was begun."""
        return self._is_acknowledged

    def acknowledge(self) -> None:
        """A collection without vectors stands for it, so that the process may end in between."""
        self._collection("ready")
        self._is_acknowledged = True

    def discard(self) -> None:
        """Throw the embedded store away unopened: it ended the process that read it."""
        self._take_lock()
        self._throw_away()

    def close(self) -> None:
        """Let go of client and lock."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # --- How it is opened

    @property
    def _connected(self) -> ClientAPI:
        assert self._client is not None
        return self._client

    def _open(self, *, accepts_mismatch: bool) -> None:
        if self._client is None:
            self._client = self._server() if self.place.host else self._embedded()
            self._look_around()
        if self._mismatch is not None and not accepts_mismatch:
            raise self._mismatch

    def _embedded(self) -> ClientAPI:
        self._take_lock()
        if not _is_sound(Path(self.place.folder) / "chroma.sqlite3"):
            raise _Damaged("Its database is damaged.")
        import chromadb

        try:
            return chromadb.PersistentClient(self.place.folder, settings=_options())
        except BaseException:
            _forget_clients()
            raise

    def _take_lock(self) -> None:
        """Held until `close`, or the end of this process."""
        if self._lock is not None:
            return
        file = os.open(Path(self.place.folder).with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise VectorsElsewhere("Another process holds the vectors.") from None
        self._lock = file

    def _server(self) -> ClientAPI:
        """Its client waits forever, from its making on: so the server is asked for a sign of life first, and the
        client told not to."""
        import chromadb
        import httpx

        host = self.place.host
        parts = urlsplit(host if "://" in host else f"http://{host}")
        is_tls = parts.scheme == "https"
        patience = httpx.Timeout(self.place.patience, connect=min(CONNECT_SECONDS, self.place.patience))
        httpx.get(f"{parts.scheme}://{parts.netloc}/api/v2/heartbeat", timeout=patience).raise_for_status()
        port = parts.port or (443 if is_tls else 8000)
        client = chromadb.HttpClient(parts.hostname or "", port, ssl=is_tls, settings=_options())
        for session in _sessions(client):
            session.timeout = patience
        return client

    def _look_around(self) -> None:
        ours = self._ours()
        self._is_acknowledged = f"{self._name}ready" in ours
        wanted = self.place.embedder
        others = (found for found in ours.values() if found != wanted)
        self._mismatch = next((EmbedderMismatch(found, wanted) for found in others), None)

    def _ours(self) -> dict[str, str]:
        """The names of our collections, with the embedder of each."""
        listed = (each for each in self._connected.list_collections() if each.name.startswith(_PREFIX))
        ours = {each.name: str((each.metadata or {}).get("embedder", _UNKNOWN)) for each in listed}
        if not self.place.host and _UNKNOWN in ours.values():
            raise _Damaged("It does not say who made its vectors.")
        return ours

    def _shard(self, owner_id: int) -> Shard:
        """The collection with the vectors of this owner; looked into at its first use, so that loss is noticed."""
        number = owner_id % SHARDS
        if number not in self._shards:
            shard = self._collection(f"{number:02d}")
            shard.get(limit=1, include=["embeddings"])
            self._shards[number] = shard
        return self._shards[number]

    def _collection(self, name: str) -> Shard:
        return self._connected.get_or_create_collection(
            self._name + name,
            metadata=self._about,
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine", "num_threads": 1}},
        )

    # --- How it fails

    def _judged(self, fault: BaseException) -> VectorsError:
        """What a fault means. Inside an embedded store, what Chroma itself complains of means that it is corrupt, since
        what is asked of it never changes."""
        kind = type(fault)
        said = f"{kind.__name__}: {fault}"
        is_corrupt = kind is _Damaged or kind.__module__ == "chromadb.errors" or kind.__name__ == "PanicException"
        self._disconnect()
        if self.place.host or self._lock is None or not is_corrupt or any(code in said for code in _PASSING):
            return VectorsUnavailable(f"Chroma failed. {said}")
        try:
            self._throw_away()
        except OSError as refusal:
            return VectorsUnavailable(f"The vectors are corrupt and cannot be removed. {refusal}")
        return VectorsCorrupt(said)

    def _throw_away(self) -> None:
        """What is in the folder; the folder itself may be a link to elsewhere. Raises OSError."""
        folder = Path(self.place.folder)
        for each in folder.iterdir() if folder.exists() else ():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()

    def _disconnect(self) -> None:
        """Let go of the client, not of the lock."""
        client, self._client = self._client, None
        self._forget()
        if client is not None:
            for session in _sessions(client) if self.place.host else ():
                session.close()
            client.close()
            _forget_clients()

    def _forget(self) -> None:
        self._shards.clear()
        self._mismatch, self._is_acknowledged = None, False


def _is_sound(database: Path) -> bool:
    """Whether SQLite finds nothing wrong with it; Chroma itself only stumbles over what it happens to read."""
    if not database.exists():
        return True
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
            reader.text_factory = bytes
            return bool(reader.execute("PRAGMA quick_check(1)").fetchone() == (b"ok",))
    except sqlite3.OperationalError:
        return True  # it cannot be read just now, which is for Chroma to say
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # what SQLite says of garbage is garbage too
        return False


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
