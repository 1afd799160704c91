"""From texts to vectors: the bundled table, and a model server that is not trusted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from pytest_django import Settings

from apps.llm import embeddings
from apps.llm.errors import (
    LLMCut,
    LLMEmbeddingUnusable,
    LLMError,
    LLMModelNotFound,
    LLMNotConfigured,
    LLMTooSlow,
    LLMUnauthorized,
    LLMUnreachable,
)
from apps.memory.embedding import current
from tests.servers import ROOT, free_port

# --- The bundled one


@pytest.fixture(autouse=True)
def bundled(settings: Settings) -> None:
    settings.EMBEDDING_MODEL = ""


def test_texts_of_like_meaning_are_near() -> None:
    embedder = current()
    dog, puppy, tax = embedder.embed(["a dog barks", "the puppy is barking", "my income tax return"])
    assert dog.shape == (embedder.dimension,)
    assert dog.dtype == np.float32
    assert dog @ puppy > dog @ tax + 0.2


def test_rows_have_length_one_and_do_not_depend_on_their_neighbours() -> None:
    texts = [f"text number {number} " * (number % 7 + 1) for number in range(150)]
    together = current().embed(texts)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.allclose(together[149], current().embed([texts[149]])[0])


@pytest.mark.parametrize("text", ["", " ", "\ud800", "\x00", "word " * 200_000, "👩‍👩‍👧", "a" * 1_000_000])
def test_any_text_has_a_vector(text: str) -> None:
    (vector,) = current().embed([text])
    assert np.isfinite(vector).all()


def test_no_text_is_no_vector() -> None:
    assert current().embed([]).shape == (0, current().dimension)


def test_it_is_not_loaded_before_it_is_used_nor_is_wordllama_itself() -> None:
    """Start-up pays nothing, and nobody sets up logging as its own loader would."""
    script = (
        "import sys; from apps.memory.embedding import current; e = current(); e.name;"
        "assert not {'numpy', 'tokenizers'} & set(sys.modules); e.embed(['x']);"
        "assert not {'wordllama'} & set(sys.modules)"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": ""}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)


# --- The model server's


class EmbeddingServer(ThreadingHTTPServer):
    """Answers /v1/embeddings as it is told to; keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.status = 200
        self.answer: Callable[[list[str]], object] = _honest
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Asked(BaseHTTPRequestHandler):
    server: EmbeddingServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        self.server.keys.append(self.headers["Authorization"])
        answer = self.server.answer(asked["input"])
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _honest(texts: list[str]) -> object:
    rows = [{"index": place, "embedding": [len(text), 2, 0.5]} for place, text in enumerate(texts)]
    return {"data": rows[::-1], "model": "m"}


@pytest.fixture
def server(settings: Settings) -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        settings.TABBY_HOST, settings.EMBEDDING_MODEL, settings.LLM_API_KEY = server.url, "nomic", "sesame"
        yield server
        server.release.set()
        server.shutdown()


def test_the_model_server_is_asked_in_batches(server: EmbeddingServer) -> None:
    embedder = current()
    assert (embedder.name, embedder.dimension) == ("nomic/3", 3)
    vectors = embedder.embed(["x" * length for length in range(1, 131)])
    assert [len(asked["input"]) for asked in server.asked] == [8, 64, 64, 2]
    assert {asked["model"] for asked in server.asked} == {"nomic"}
    assert set(server.keys) == {"Bearer sesame"}
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert vectors[0, 0] < vectors[1, 0] < vectors[129, 0]  # by their index, not as they came
    assert embedder.embed([]).shape == (0, 3)
    assert current() is embedder


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[1, 2, 3]],
        [[1, 2, 3]] * 3,
        [[1, 2, 3], [1, 2]],
        [[1, 2, 3], [1, 2, float("nan")]],
        [[1, 2, 3], [1, 2, 1e300]],
        [[1, 2, 3], [1, 2, 10**400]],
        [[1, 2, 3], ["1", "2", "3"]],
        [[1, 2, 3], None],
        [[[1], [2]], [[3], [4]]],
        [[], []],
        [[True, False], [True, True]],
        [[1, 2], [3, 4]],
    ],
    ids=range(13),
)
def test_embeddings_that_make_no_sense_are_refused(server: EmbeddingServer, rows: list[object]) -> None:
    embedder = current()
    assert embedder.dimension == 3
    server.answer = lambda texts: {"data": [{"index": at, "embedding": row} for at, row in enumerate(rows)]}
    with pytest.raises(LLMEmbeddingUnusable):
        embedder.embed(["one", "two"])


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'{"data": 7}', b'{"data": [7]}', b"[" * 100_000])
def test_an_answer_that_is_none_is_refused(server: EmbeddingServer, body: bytes) -> None:
    server.answer = lambda texts: body
    with pytest.raises(LLMEmbeddingUnusable):
        embeddings.embed(["one"], "nomic")


def test_an_answer_without_end_is_refused(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "MAX_BYTES", 1_000)
    server.answer = lambda texts: b" " * 100_000
    with pytest.raises(LLMEmbeddingUnusable, match="large"):
        embeddings.embed(["one"], "nomic")


@pytest.mark.parametrize(("status", "error"), [(401, LLMUnauthorized), (404, LLMModelNotFound), (500, LLMError)])
def test_a_refusal_is_said_without_our_key(server: EmbeddingServer, status: int, error: type[LLMError]) -> None:
    server.status = status
    server.answer = lambda texts: {"error": {"message": "no, sesame"}}
    with pytest.raises(error) as refused:
        embeddings.embed(["one"], "nomic")
    assert "sesame" not in refused.value.detail


def test_a_server_that_is_silent_or_cuts_or_is_away_is_said(
    server: EmbeddingServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "REQUEST_SECONDS", 0.2)
    server.answer = lambda texts: server.release.wait(10) and {}
    with pytest.raises(LLMTooSlow):
        embeddings.embed(["one"], "nomic")
    server.release.set()
    server.status = 0  # a status line that is none
    with pytest.raises(LLMCut):
        embeddings.embed(["one"], "nomic")
    settings.TABBY_HOST = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(LLMUnreachable):
        embeddings.embed(["one"], "nomic")
    settings.TABBY_HOST = ""
    with pytest.raises(LLMNotConfigured):
        embeddings.embed(["one"], "nomic")
