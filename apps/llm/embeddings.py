"""Asking the model server for embeddings: `POST /v1/embeddings`, in batches, synchronously.

Promises: it ends in an array that can be reckoned with or in an LLMError, within REQUEST_SECONDS for each batch. What
the server sends is bounded and checked: as many rows as texts, all of one length, every number finite.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import httpx

from apps.llm.answer import said
from apps.llm.errors import LLMCut, LLMEmbeddingUnusable, LLMTooSlow, LLMUnreachable, refusal
from apps.llm.server import ModelServer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 64
REQUEST_SECONDS = 60.0
MAX_BYTES = 32 << 20


def embed(texts: Sequence[str], model: str) -> NDArray[np.float32]:
    """One row for each of at least one text, as the server made it."""
    import numpy as np

    server = ModelServer.from_settings()
    patience = httpx.Timeout(REQUEST_SECONDS, connect=server.timeouts.connect)
    with httpx.Client(**server.options(), timeout=patience) as http:
        rows = [_embedded(http, server, batch, model) for batch in _batches(texts)]
    if len({part.shape[1] for part in rows}) != 1:
        raise LLMEmbeddingUnusable("They are not all of one length.")
    return np.concatenate(rows)


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), BATCH):
        yield texts[start : start + BATCH]


def _embedded(http: httpx.Client, server: ModelServer, texts: Sequence[str], model: str) -> NDArray[np.float32]:
    status, body = _answer(http, server, {"model": model, "input": list(texts), "encoding_format": "float"})
    if status != httpx.codes.OK:
        raise refusal(status, server.redact(said(body)))
    return _checked(body, len(texts))


def _answer(http: httpx.Client, server: ModelServer, asked: dict[str, object]) -> tuple[int, object]:
    """Status and JSON body; None where it is not JSON."""
    raw, ends = bytearray(), time.monotonic() + REQUEST_SECONDS
    content = json.dumps(asked, ensure_ascii=False).encode(errors="replace")
    headers = {"Content-Type": "application/json"}
    try:
        with http.stream("POST", "embeddings", content=content, headers=headers) as response:
            for chunk in response.iter_raw():
                raw += chunk
                if len(raw) > MAX_BYTES:
                    raise LLMEmbeddingUnusable("They are too large.")
                if time.monotonic() > ends:
                    raise LLMTooSlow(REQUEST_SECONDS)
            status = response.status_code
    except (httpx.ConnectError, httpx.ConnectTimeout) as fault:
        raise LLMUnreachable(server.shown) from fault
    except httpx.TimeoutException as fault:
        raise LLMTooSlow(REQUEST_SECONDS) from fault
    except httpx.HTTPError as fault:
        raise LLMCut from fault
    try:
        return status, json.loads(raw)
    except (ValueError, RecursionError):
        return status, None


def _checked(body: object, count: int) -> NDArray[np.float32]:
    import numpy as np

    rows = _rows(body)
    if len(rows) != count:
        raise LLMEmbeddingUnusable(f"There are {len(rows)} of them for {count} texts.")
    try:
        numbers = np.asarray(rows)
    except ValueError as fault:
        raise LLMEmbeddingUnusable("They are not all of one length.") from fault
    if numbers.ndim != 2 or not numbers.size or numbers.dtype.kind not in "fi":
        raise LLMEmbeddingUnusable("They are not lists of numbers.")
    with np.errstate(over="ignore"):
        vectors = numbers.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise LLMEmbeddingUnusable("Not all of their numbers are finite.")
    return vectors


def _rows(body: object) -> list[object]:
    """The embeddings in the order of their texts: each says its `index`."""
    match body:
        case {"data": [*entries]}:
            found = {entry.get("index"): entry.get("embedding") for entry in entries if isinstance(entry, dict)}
            return [found[place] for place in range(len(entries)) if place in found]
    return []
