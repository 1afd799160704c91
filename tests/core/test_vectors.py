"""Vectors in a real Chroma, embedded and as a server: whose they are, and what happens when it fails."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from pytest_django import Settings

from apps.core import vectors
from apps.core.vectors import EmbedderMismatch, Match, VectorsElsewhere, VectorStore, VectorsUnavailable
from tests.servers import free_port

ALICE, BOB = 1, 1 + vectors.SHARDS  # they share a shard

EAST, NORTH = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)
BETWEEN = np.array([1, 1, 0], np.float32) / np.float32(2**0.5)

Open = Callable[..., VectorStore]


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR, settings.CHROMA_HOST = tmp_path, ""
    return tmp_path / "vectors"


@pytest.fixture
def opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Stores as a process opens them; all are closed with the test. A search waits for them to be open."""
    monkeypatch.setattr(vectors, "OPENING_SECONDS", 30.0)
    stores: list[VectorStore] = []

    def opening(embedder: str = "compass") -> VectorStore:
        stores.append(VectorStore(embedder, 3))
        return stores[-1]

    yield opening
    for store in stores:
        store.close()


def everything(ids: object) -> object:
    return ids


def near(store: VectorStore, owner: int, vector: np.ndarray = EAST, limit: int = 10) -> list[int]:
    return [match.id for match in store.search(owner, vector, limit, everything)]


def test_the_nearest_come_first(opened: Open) -> None:
    store = opened()
    store.add(ALICE, {1: NORTH, 2: BETWEEN, 3: EAST})
    found = store.search(ALICE, EAST, 2, everything)
    assert [match.id for match in found] == [3, 2]
    assert [round(match.score, 3) for match in found] == [1.0, 0.707]
    assert store.count() == 3


def test_a_vector_is_replaced_and_deleted_any_number_of_times(opened: Open) -> None:
    store = opened()
    for _ in range(2):
        store.add(ALICE, {1: NORTH, 2: EAST})
    store.add(ALICE, {1: EAST})
    assert store.count() == 2
    assert np.allclose(store.vectors(ALICE, [1, 99])[1], EAST)
    for _ in range(2):
        store.delete(ALICE, [1, 99])
    assert near(store, ALICE) == [2]
    assert store.vectors(ALICE, [1]) == {}
    assert store.vectors(ALICE, []) == {}


def tells(folder: Path, vector: np.ndarray) -> list[str]:
    """The files in which its numbers stand."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.name for path in files if vector.tobytes() in path.read_bytes())


CANARY = np.array([0.6, 0.48, 0.64], np.float32)


@pytest.mark.parametrize(("others", "file"), [(10, "chroma.sqlite3"), (1_100, "data_level0.bin")])
def test_what_is_purged_has_left_the_files(opened: Open, folder: Path, others: int, file: str) -> None:
    dice = np.random.default_rng(3)
    store = opened()
    store.add(ALICE, {0: CANARY, **{pk: dice.random(3, np.float32) for pk in range(1, 1 + others)}})
    store.acknowledge_rebuilt()
    assert tells(folder, CANARY) == [file]
    store.delete(ALICE, [0])
    for _ in range(2):
        store.purge(ALICE)
        assert tells(folder, CANARY) == []
        assert not store.was_rebuilt
        assert store.count() == others
        assert 0 not in near(store, ALICE, CANARY)
    store.add(ALICE, {0: EAST})
    assert near(store, ALICE, EAST)[0] == 0
    store.close()
    assert tells(folder, CANARY) == []


def test_what_is_cleared_has_left_the_files(opened: Open, folder: Path) -> None:
    store = opened()
    store.add(ALICE, {0: CANARY})
    store.acknowledge_rebuilt()
    store.clear()
    assert tells(folder, CANARY) == []
    assert store.was_rebuilt


def test_what_is_not_kept_is_not_found_whatever_shares_the_shard(opened: Open) -> None:
    store = opened()
    store.add(BOB, dict.fromkeys(range(1_000, 1_300), EAST))
    store.add(ALICE, {1: BETWEEN, 2: NORTH})
    mine = {1, 2}
    found = store.search(ALICE, EAST, 2, lambda ids: [pk for pk in ids if pk in mine])
    assert [match.id for match in found] == [1, 2]
    assert store.search(ALICE, EAST, 2, lambda ids: []) == []


def test_it_outlives_the_process(opened: Open) -> None:
    first = opened()
    first.add(ALICE, {1: EAST})
    assert first.was_rebuilt
    first.acknowledge_rebuilt()
    first.close()
    second = opened()
    assert not second.was_rebuilt
    assert second.search(ALICE, EAST, 1, everything) == [Match(1, pytest.approx(1))]


def test_a_store_that_nobody_acknowledged_is_still_new(opened: Open) -> None:
    first = opened()
    first.add(ALICE, {1: EAST})
    first.close()
    assert opened().was_rebuilt


def process_of(store: VectorStore) -> psutil.Process:
    assert store._chroma._process is not None
    return psutil.Process(store._chroma._process._process.pid)


def test_no_secret_and_no_stranger_is_told(
    opened: Open, monkeypatch: pytest.MonkeyPatch, settings: Settings, no_idle_process: None
) -> None:
    monkeypatch.setenv("SECRET_KEY", "a-canary-in-the-environment")
    store = opened()
    store.add(ALICE, {1: EAST})
    process = process_of(store)
    assert "a-canary-in-the-environment" not in process.environ().values()
    assert not any(word in each.path for each in process.memory_maps() for word in ("posthog", "onnxruntime"))
    assert not process.net_connections()
    assert "chromadb" not in sys.modules


@pytest.fixture
def no_idle_process() -> None:
    vectors.end()


def test_the_process_goes_with_whoever_started_it(folder: Path) -> None:
    script = (
        "import os, sys; sys.path.insert(0, os.getcwd()); os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings';"
        "import django; from django.conf import settings; settings.DATA_DIR = sys.argv[1];"
        "from apps.core.vectors import VectorStore; store = VectorStore('compass', 3); store.count();"
        "print(store._chroma._process._process.pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(folder.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        chroma = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    chroma.wait(10)


def test_another_embedders_vectors_are_noticed_and_not_mixed(opened: Open) -> None:
    first = opened()
    first.add(ALICE, {1: EAST})
    first.close()
    second = opened("sextant")
    with pytest.raises(EmbedderMismatch) as refused:
        near(second, ALICE)
    assert (refused.value.found, refused.value.wanted) == ("compass", "sextant")
    second.clear()
    assert second.was_rebuilt
    assert near(second, ALICE) == []
    second.add(ALICE, {2: NORTH})
    assert second.count() == 1


def test_another_process_is_kept_out_until_this_one_is_gone(opened: Open, tmp_path: Path) -> None:
    hold = (
        "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / "vectors.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        store = opened()
        with pytest.raises(VectorsElsewhere):
            store.count()
        other.kill()
    assert store.count() == 0


# --- Corrupt folders


def _garble(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _scratch(path: Path) -> None:
    """Bytes here and there, so that it still opens."""
    dice = np.random.default_rng(1)
    with path.open("r+b") as file:
        for at in dice.integers(8_192, path.stat().st_size - 64, 40):
            file.seek(int(at))
            file.write(os.urandom(64))


def _misname(path: Path) -> None:
    """Also what SQLite says of it is no text."""
    name = b"embedding_metadata_int_value"
    garbage = path.read_bytes().replace(b"CREATE INDEX " + name, b"CREATE NOTHING".ljust(13 + len(name)))
    path.write_bytes(garbage.replace(name, b"\xc4" * len(name)))


def _mislay(path: Path) -> None:
    """Nothing says any more whose vectors they are."""
    path.write_bytes(path.read_bytes().replace(b"embedder", b"mbedder?"))


def _fill(store: VectorStore) -> None:
    # More than Chroma keeps in its log before it writes an index.
    dice = np.random.default_rng(1)
    store.add(ALICE, {pk: dice.random(3, np.float32) for pk in range(1_200)})
    store.acknowledge_rebuilt()
    store.close()


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        ("chroma.sqlite3", _garble),
        ("chroma.sqlite3", _cut),
        ("chroma.sqlite3", _scratch),
        ("chroma.sqlite3", _misname),
        ("chroma.sqlite3", _mislay),
        ("*/header.bin", _garble),
        ("*/data_level0.bin", _garble),
        ("*/data_level0.bin", _cut),
        ("*/index_metadata.pickle", _cut),
    ],
)
def test_a_corrupt_store_is_noticed_and_begun_anew(
    opened: Open, folder: Path, file: str, spoil: Callable[[Path], None]
) -> None:
    _fill(opened())
    (path,) = folder.glob(file)
    spoil(path)
    store = opened()
    with suppress(VectorsUnavailable):
        near(store, ALICE)
        store.vectors(ALICE, [0, 600, 1_199])
    assert store.was_rebuilt
    store.add(ALICE, {1: EAST})
    assert near(store, ALICE) == [1]


def test_a_corrupt_store_behind_a_link_is_begun_anew(opened: Open, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    _fill(opened())
    _garble(folder / "chroma.sqlite3")
    store = opened()
    with pytest.raises(VectorsUnavailable):
        near(store, ALICE)
    assert store.was_rebuilt
    store.add(ALICE, {1: EAST})
    assert near(store, ALICE) == [1]
    assert (tmp_path / "elsewhere" / "chroma.sqlite3").exists()


@pytest.mark.parametrize("loss", ["folder", "index", "emptied"])
def test_a_loss_is_noticed(opened: Open, folder: Path, loss: str) -> None:
    _fill(opened())
    match loss:
        case "folder":
            shutil.rmtree(folder)
        case "index":
            shutil.rmtree(next(folder.glob("*/header.bin")).parent)
        case "emptied":
            os.truncate(folder / "chroma.sqlite3", 0)
    store = opened()
    with suppress(VectorsUnavailable):
        near(store, ALICE)
    assert store.was_rebuilt
    store.add(ALICE, {1: EAST})
    assert near(store, ALICE) == [1]


# --- A server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Chroma server of its own on loopback."""
    folder, port = tmp_path_factory.mktemp("chroma"), free_port()
    command = [
        Path(sys.executable).parent / "chroma",
        "run",
        "--path",
        folder,
        "--host",
        "127.0.0.1",
        "--port",
        f"{port}",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        _await_answer(f"{url}/api/v2/heartbeat", process)
        yield url
        process.kill()


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    with httpx.Client() as http:
        for _ in range(600):
            try:
                http.get(url)
            except httpx.TransportError:
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.05)  # nothing announces that a port is open
            else:
                return
    pytest.fail("Chroma's server does not start")


def test_a_server_does_as_well(opened: Open, folder: Path, settings: Settings, server: str) -> None:
    settings.CHROMA_HOST = server
    store = opened()
    assert store.was_rebuilt
    store.acknowledge_rebuilt()
    store.add(ALICE, {1: EAST, 2: NORTH})
    store.add(BOB, {3: EAST})
    assert store.search(ALICE, EAST, 1, lambda ids: [pk for pk in ids if pk != 3]) == [Match(1, pytest.approx(1))]
    store.delete(ALICE, [1])
    assert store.count() == 2
    store.close()
    assert not opened().was_rebuilt
    store.clear()
    assert not folder.exists()


def test_a_server_that_is_down_is_said_and_used_when_it_is_back(opened: Open, settings: Settings, server: str) -> None:
    settings.CHROMA_HOST = f"http://127.0.0.1:{free_port()}"
    store = opened()
    with pytest.raises(VectorsUnavailable):
        store.count()
    settings.CHROMA_HOST = server
    assert store.count() == 0


@pytest.fixture
def silent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that takes connections and never says a word."""
    monkeypatch.setattr(vectors, "CALL_SECONDS", 0.3)
    monkeypatch.setattr(vectors, "SEARCH_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.CHROMA_HOST = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield


def test_nobody_waits_for_a_server_that_hangs(opened: Open, silent: None) -> None:
    store = opened()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(VectorsUnavailable):
            near(store, ALICE)
        assert time.monotonic() - began < 2.5  # the first call imports Chroma


@pytest.mark.parametrize("call", ["waits", "is given up"])
def test_nobody_waits_for_chroma_itself(opened: Open, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    store = opened()
    store.add(ALICE, {1: EAST})
    process = process_of(store)
    process.suspend()
    monkeypatch.setattr(vectors, "SEARCH_SECONDS", 0.2)
    monkeypatch.setattr(vectors, "CALL_SECONDS", 0.2 if call == "is given up" else 30.0)
    with pytest.raises(VectorsUnavailable):
        near(store, ALICE)
    began = time.monotonic()
    # Where it was given up another one is begun, and may be quick enough.
    with pytest.raises(VectorsUnavailable) if call == "waits" else suppress(VectorsUnavailable):
        near(store, ALICE)
    assert time.monotonic() - began < (0.1 if call == "waits" else 0.3)
    if call == "waits":
        process.resume()
    monkeypatch.setattr(vectors, "OPENING_SECONDS", 30.0)
    monkeypatch.setattr(vectors, "CALL_SECONDS", 30.0)
    assert _eventually(lambda: near(store, ALICE)) == [1]
    assert (process_of(store) == process) == (call == "waits")


def test_a_search_does_not_wait_for_chroma_to_be_opened(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(opened())
    store = opened()
    monkeypatch.setattr(vectors, "OPENING_SECONDS", 0.001)
    monkeypatch.setattr(vectors, "SEARCH_SECONDS", 30.0)
    with pytest.raises(VectorsUnavailable):
        near(store, ALICE)
    assert store.count() == 1_200
    assert len(near(store, ALICE)) == 10


def test_a_search_goes_between_two_parts_of_what_is_added(opened: Open) -> None:
    store = opened()
    store.add(ALICE, {0: EAST})
    adding = threading.Thread(target=store.add, args=(ALICE, dict.fromkeys(range(1, 40 * vectors.BATCH), EAST)))
    adding.start()
    found = [near(store, BOB) for _ in range(10)]
    assert adding.is_alive()
    assert len(found) == 10
    adding.join()


def _eventually(ask: Callable[[], list[int]]) -> list[int]:
    """The first answer: the thread needs a moment to come back."""
    for _ in range(1_000):
        try:
            return ask()
        except VectorsUnavailable:
            threading.Event().wait(0.01)
    pytest.fail("it never came back")
