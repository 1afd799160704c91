"""Which words are related, by a table of vectors."""

from __future__ import annotations

import numpy as np
import pytest

from apps.memory.thesaurus import Thesaurus

VECTORS = {
    "▁dog": (1, 0, 0),
    "▁dogs": (0.9, 0.1, 0),
    "▁pet": (0.8, 0.6, 0),
    "▁stone": (0, 0, 1),
    "▁Dog": (0, 0, 1),
    "gy": (1, 0, 0),
    "▁a": (1, 0, 0),
    "▁x1": (1, 0, 0),
    "▁void": (0, 0, 0),
}


@pytest.fixture
def thesaurus() -> Thesaurus:
    return Thesaurus({token: row for row, token in enumerate(VECTORS)}, np.array([*VECTORS.values()], dtype=np.float32))


def test_words_of_one_direction_are_related(thesaurus: Thesaurus) -> None:
    (relatives,) = thesaurus.related(["dog"])
    assert relatives.keys() == {"pet"}
    assert 0 < relatives["pet"] < 1


def test_an_unknown_word_is_related_to_none_and_keeps_its_place(thesaurus: Thesaurus) -> None:
    unknown, known = thesaurus.related(["qwerty", "pet"])
    assert (unknown, known.keys()) == ({}, {"dog"})


def test_nothing_asked_is_nothing_found(thesaurus: Thesaurus) -> None:
    assert thesaurus.related([]) == []
    assert thesaurus.related(["void"]) == [{}]


def test_a_table_without_words_relates_nothing() -> None:
    assert Thesaurus({"gy": 0}, np.ones((1, 3), dtype=np.float32)).related(["gy", "dog"]) == [{}, {}]
