"""From texts to vectors: by the bundled table of wordllama, or by the model server where EMBEDDING_MODEL names a model.

wordllama's table and tokenizer are read directly: its own loader sets up logging, imports an HTTP client, and keeps
the table twice as large. A text's vector is the mean of its tokens', as wordllama has it.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from apps.llm import embeddings
from apps.llm.errors import LLMEmbeddingUnusable
from apps.llm.server import ModelServer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    Vectors = NDArray[np.float32]

# What is read of a text; a mean of so many tokens hardly moves any more.
MAX_CHARACTERS = 20_000
BATCH = 64
UNRELATED_TEXTS = (
    "The train to the coast leaves at a quarter past seven.",
    "My grandmother grows tomatoes behind the house.",
    "Tune the guitar down by half a step.",
    "The function returns a list of integers.",
    "Interest rates were raised again in spring.",
    "She broke her ankle while skiing.",
    "Whales sleep with half of their brain.",
    "The contract has to be signed in ink.",
)
# An embedder that tells nothing apart would divide by nothing.
MOST_UNRELATED = 0.95


class Embedder(Protocol):
    """What makes vectors. Vectors of two embedders are alike only where the `name` is, which says model and version."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def unrelated(self) -> float:
        """The cosine that it gives to texts which have nothing to do with each other."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A row of length one for each text; of zeros for a text without a word."""


class WordLlamaEmbedder:
    """The bundled one: a table of 32,000 vectors, some thousands of texts a second. It is loaded at its first use."""

    name = "wordllama-l2-supercat-256/1"
    dimension = 256
    unrelated = 0.0

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Any thread may ask."""
        import numpy as np

        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), BATCH):
            batch = [text[:MAX_CHARACTERS].encode(errors="replace").decode() for text in texts[start : start + BATCH]]
            for row, tokens in enumerate(self._tokenizer.encode_batch_fast(batch, add_special_tokens=False), start):
                if tokens.ids:
                    vectors[row] = self._table[tokens.ids].mean(axis=0, dtype=np.float32)
        return _of_length_one(vectors)

    def words(self) -> tuple[dict[str, int], NDArray[np.float16]]:
        """The tokens, each with its row in the table; and the table, a vector a row."""
        return self._tokenizer.get_vocab(), self._table

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(_folder() / "tokenizers" / "l2_supercat_tokenizer_config.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _table(self) -> NDArray[np.float16]:
        from safetensors import safe_open

        with safe_open(_folder() / "weights" / "l2_supercat_256.safetensors", framework="np") as weights:
            table: NDArray[np.float16] = weights.get_tensor("embedding.weight")
        return table


class ServerEmbedder:
    """A model of the model server. Blocks on HTTP, and raises LLMError."""

    def __init__(self, model: str) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """With the dimension, since servers give another model the same name."""
        return f"{self._model[:150]}/{self.dimension}"

    @cached_property
    def dimension(self) -> int:
        """The server is asked for it once."""
        return int(self._sample.shape[1])

    @cached_property
    def unrelated(self) -> float:
        """Trained models put all texts close together; how close is measured on some that have nothing in common."""
        import numpy as np

        cosines = self._sample @ self._sample.T
        return min(float(cosines[~np.eye(len(cosines), dtype=bool)].mean()), MOST_UNRELATED)

    @cached_property
    def _sample(self) -> Vectors:
        return _of_length_one(embeddings.embed(UNRELATED_TEXTS, self._model))

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        vectors = embeddings.embed([text[:MAX_CHARACTERS] for text in texts], self._model)
        if vectors.shape[1] != self.dimension:
            raise LLMEmbeddingUnusable(f"They have {vectors.shape[1]} numbers, where they had {self.dimension}.")
        return _of_length_one(vectors)


_choosing = threading.Lock()


def current() -> Embedder:
    """The one that the settings choose."""
    with _choosing:
        if settings.EMBEDDING_MODEL:
            return _of_server(settings.EMBEDDING_MODEL, ModelServer.from_settings())
        return bundled()


@cache
def bundled() -> WordLlamaEmbedder:
    """The bundled one, also where another makes the vectors: its table tells which words are related."""
    return WordLlamaEmbedder()


@cache
def _of_server(model: str, _: ModelServer) -> ServerEmbedder:
    return ServerEmbedder(model)


def _folder() -> Path:
    """Where wordllama lies, without importing it."""
    spec = importlib.util.find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _of_length_one(vectors: Vectors) -> Vectors:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    divided: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return divided
