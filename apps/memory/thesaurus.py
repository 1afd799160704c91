"""Which words are related: `dog` to `pet` and `puppy`, by the token table of a static embedder.

Such a table has a vector for each token, and many tokens are whole words. Two words are as related as their vectors
point the same way. A word that the table does not hold is related to none, so it only matches itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from apps.memory.words import fold, stem

# Cosines below this are noise between words; above, the weight of a relative grows with the square of what is left.
UNRELATED = 0.3
# How a tokenizer of the SentencePiece family marks the beginning of a word.
_WORD_START = "\u2581"
_SHORTEST = 2
# People ask with the same words again and again.
REMEMBERED = 2_000
_TINY = np.finfo(np.float32).tiny


class Thesaurus:
    """Stems, and what is related to them."""

    def __init__(self, tokens: Mapping[str, int], table: NDArray[np.floating]) -> None:
        """Of a tokenizer's vocabulary and its table of vectors, one row a token."""
        words = {token[1:]: row for token, row in tokens.items() if _is_word(token)}
        self._rows: dict[str, int] = {}
        of_word = [self._rows.setdefault(stem(fold(word)), len(self._rows)) for word in words]
        self._stems = list(self._rows)
        self._vectors = np.zeros((len(self._rows), table.shape[1]), dtype=np.float32)
        np.add.at(self._vectors, of_word, _unit(table[list(words.values())].astype(np.float32)))
        self._vectors = _unit(self._vectors)
        self._related_to = lru_cache(REMEMBERED)(self._relatives)

    def related(self, stems: Sequence[str]) -> list[dict[str, float]]:
        """For each, its relatives with their weights, from 0 to 1; not the stem itself."""
        return [self._related_to(each) if each in self._rows else {} for each in stems]

    def _relatives(self, own: str) -> dict[str, float]:
        cosines = self._vectors @ self._vectors[self._rows[own]]
        near = np.flatnonzero(cosines > UNRELATED)
        weights = ((cosines[near] - UNRELATED) / (1 - UNRELATED)) ** 2
        return {self._stems[i]: float(weight) for i, weight in zip(near, weights, strict=True) if self._stems[i] != own}


def _is_word(token: str) -> bool:
    return token.startswith(_WORD_START) and len(token) > _SHORTEST and token[1:].isalpha() and token[1:].islower()


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)
    return unit
