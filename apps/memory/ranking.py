"""Which recollections answer a question: from candidates with their neighbours to a ranking.

Pure arithmetic on a few hundred to a few thousand rows, so its cost does not grow with what a person has said.

What is said in a talk rarely says what it is about: that was said just before. So what is counted for a turn are its
words and those around it, the less the farther away, and only then weighed as BM25 does (Robertson & Zaragoza 2009,
"The Probabilistic Relevance Framework"; fields there, neighbours here). A word also counts by its relatives, all as one
word (Pirkola 1998, structured queries). Beside the words stand the meaning, as the cosine of vectors, and the voice
that the question names. A turn that asks tells less, and the turn after it tells more.

All weights are relative to a word that is said once by one recollection of all: that is 1.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# How many places before and after in the thread count, for words and for meaning.
REACH, MEANING_REACH = 6, 1
# What the turn before lends, and the one after; each further one this share of the nearer one's.
BEFORE, AFTER, FADING = 0.5, 0.3, 0.7
# BM25's k1, how soon a repeated word counts no more, and b, how much a long text has to say it oftener; Anserini's
# defaults.
SATURATION, LENGTH_SHARE = 0.9, 0.4
# Who has said less than this many things is taken to have said so many: rarity means nothing among a few.
FEW = 500
MEANING, VOICE = 0.5, 0.125
ASKS, ANSWERS = 0.8, 1.2
# The best must have this score, or the question has nothing to do with what was said; the others this share of the
# best one's.
RELATED, RELATED_TO_BEST = 0.17, 0.3
# How much of the way from nothing in common to the same a text must go to be close: nonsense goes a quarter of it. And
# how much a relative of a word must weigh to be taken for it.
CLOSE, SAME = 0.35, 0.1


@dataclass(frozen=True, slots=True)
class Term:
    """A stem of the question."""

    stem: str
    # Stems that count for it, each by its weight between 0 and 1.
    related: Mapping[str, float]
    # How many of the person's recollections hold the stem.
    frequency: int


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a person's recollections."""

    terms: Sequence[Term]
    # Of length 1; None when it could not be had.
    vector: NDArray[np.float32] | None
    voices: frozenset[str]
    # How many recollections the person has.
    total: int
    # The cosine that the embedder gives to texts which have nothing to do with each other.
    unrelated: float = 0.0


class Candidate(NamedTuple):
    """A recollection that may answer, or stands beside one that may; fields as `words.analyse` makes them."""

    id: int
    thread: str
    position: int
    voice: str
    stems: str
    asks: bool
    # Little-endian float16; empty when it has none yet. One of another length is of another embedder, and left out.
    vector: bytes


class Ranked(NamedTuple):
    """A recollection and, from 0 to 1, the share it has of what an ideal answer would have."""

    id: int
    score: float


def shortlist(query: Query, holders: Mapping[str, Sequence[int]], limit: int) -> list[int]:
    """The ids that hold the most and the rarest of the query's stems; of equals those that were remembered last."""
    rarities = _rarity(_frequencies(query), query.total)
    scores: dict[int, float] = defaultdict(float)
    for term, rarity in zip(query.terms, rarities.tolist(), strict=True):
        for pk in holders.get(term.stem, ()):
            scores[pk] += rarity
    return heapq.nlargest(limit, scores, key=lambda pk: (scores[pk], pk))


def rank(query: Query, candidates: Iterable[Candidate], limit: int) -> list[Ranked]:
    """Those that have to do with the question, the best first; of equals the one that was remembered last.

    A question without a content word has to do with nothing.
    """
    talk = _Talk(candidates)
    if not talk.rows or not query.terms:
        return []
    scores = _scores(query, talk)
    best = float(scores.max())
    return _best(talk, scores, limit, RELATED_TO_BEST * best if best >= RELATED else np.inf)


def rank_fitting(query: Query, candidates: Iterable[Candidate], limit: int) -> list[Ranked]:
    """Those that fit by themselves, in the order of `rank`: all that hold a word or are close in meaning, be it little
    of what was asked, and not what only stands beside them.
    """
    talk = _Talk(candidates)
    if not talk.rows or not query.terms:
        return []
    scores = np.maximum(_scores(query, talk), 0)
    return _best(talk, np.where(_fits(query, talk), scores, -1), limit, 0)


def _best(talk: _Talk, scores: Floats, limit: int, least: float) -> list[Ranked]:
    order = np.lexsort((-talk.ids, -scores))[:limit]
    return [Ranked(int(talk.ids[i]), min(float(scores[i]), 1.0)) for i in order if scores[i] >= least]


class _Talk:
    """Rows sorted by thread and position, so that what stands beside what can be found."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        by_id = {each.id: each for each in candidates}
        self.rows = rows = sorted(by_id.values(), key=lambda each: (each.thread, each.position))
        self.ids = np.array([row.id for row in rows])
        self.stems = [row.stems.split() for row in rows]
        positions = np.array([row.position for row in rows])
        threads = np.unique([row.thread for row in rows], return_inverse=True)[1]
        # One number a row, such that neighbours differ by 1 and rows of two threads by more than the reach.
        self._places = positions + threads * (positions.max(initial=0) + REACH + 1)

    def neighbours(self, values: Floats, offset: int) -> Floats:
        """For each row, the value of the row `offset` places on in its thread; 0 where there is none."""
        wanted = self._places + offset
        index = np.minimum(np.searchsorted(self._places, wanted), len(wanted) - 1)
        index[self._places[index] != wanted] = len(wanted)
        beside: Floats = np.concatenate([values, np.zeros_like(values[:1])])[index]
        return beside

    def spread(self, values: Floats, reach: int) -> Floats:
        """Each row's values and what its neighbours lend it."""
        spread = values.copy()
        for distance in range(1, reach + 1):
            fading = FADING ** (distance - 1)
            spread += BEFORE * fading * self.neighbours(values, -distance)
            spread += AFTER * fading * self.neighbours(values, distance)
        return spread


def _scores(query: Query, talk: _Talk) -> Floats:
    """Words, meaning and voice of each row, as a share of the most that words and meaning could be.

    That the question names somebody who has spoken says already that it is about what was said, whoever answers it.
    """
    words, most = _words(query, talk)
    voice = np.array([row.voice in query.voices for row in talk.rows])
    asks = np.array([row.asks for row in talk.rows], dtype=np.float64)
    score = words + VOICE * voice
    if query.vector is not None:
        score += MEANING * _meaning(query.vector, query.unrelated, talk)
        most += MEANING
    score *= ASKS**asks * ANSWERS ** talk.neighbours(asks, -1)
    return (score + VOICE * bool(query.voices)) / most


def _fits(query: Query, talk: _Talk) -> NDArray[np.bool_]:
    """Whether each row by itself holds a word, or one that is taken for it, or is close in meaning."""
    relatives = (stem for term in query.terms for stem, weight in term.related.items() if weight >= SAME)
    wanted = {*relatives, *(term.stem for term in query.terms)}
    fits = np.array([not wanted.isdisjoint(stems) for stems in talk.stems])
    if query.vector is not None:
        fits |= _nearness(query.vector, query.unrelated, talk)[0] >= CLOSE
    return fits


def _words(query: Query, talk: _Talk) -> tuple[Floats, float]:
    """The rows' weights by words, and the most that they can be."""
    counts = _counts(query.terms, talk)
    lengths = np.array([[len(stems)] for stems in talk.stems], dtype=np.float64)
    spread = talk.spread(np.hstack([counts, lengths]), REACH)
    counted, length = spread[:, :-1], spread[:, -1:]
    enough = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * length / max(length.mean(), 1))
    # A word's relatives are one word with it, so whoever holds them holds it; as far as the candidates can tell.
    frequencies = np.maximum(_frequencies(query), np.minimum(counts, 1).sum(axis=0))
    rarities = _rarity(frequencies, max(query.total, len(talk.rows)))
    return counted / (counted + enough) @ rarities, float(rarities.sum())


def _counts(terms: Sequence[Term], talk: _Talk) -> Floats:
    """How often each row says each term, its relatives counted by their weights: a line for a row."""
    weights: dict[str, list[tuple[int, float]]] = {}
    for column, term in enumerate(terms):
        for stem, weight in {**term.related, term.stem: 1.0}.items():
            weights.setdefault(stem, []).append((column, weight))
    counts = np.zeros((len(talk.rows), len(terms)))
    counting = weights.keys()
    for line, stems in enumerate(talk.stems):
        for stem in counting & stems:
            for column, weight in weights[stem]:
                counts[line, column] += weight * stems.count(stem)
    return counts


def _frequencies(query: Query) -> Floats:
    return np.array([term.frequency for term in query.terms], dtype=np.float64)


def _rarity(frequencies: Floats, total: int) -> Floats:
    """BM25's inverse document frequency, so scaled that it is about 1 for a word of a single recollection."""
    total = max(total, FEW)
    frequencies = np.minimum(frequencies, total)
    rarity: Floats = np.log1p((total - frequencies + 0.5) / (frequencies + 0.5)) / np.log1p(total)
    return rarity


def _meaning(vector: NDArray[np.float32], unrelated: float, talk: _Talk) -> Floats:
    """How near each row and its next neighbours come to the question: the mean of those that have a vector like it."""
    nearness, known = _nearness(vector, unrelated, talk)
    weight = talk.spread(known.astype(np.float64), MEANING_REACH)
    return talk.spread(nearness, MEANING_REACH) / np.maximum(weight, min(BEFORE, AFTER))


def _nearness(vector: NDArray[np.float32], unrelated: float, talk: _Talk) -> tuple[Floats, NDArray[np.bool_]]:
    """How near each row itself comes to the question, and whether that is known: 0 where it is not."""
    size = 2 * len(vector)
    known = np.array([len(row.vector) == size for row in talk.rows])
    packed = b"".join(row.vector for row in talk.rows if len(row.vector) == size)
    vectors = np.frombuffer(packed, dtype="<f2").reshape(-1, len(vector)).astype(np.float32)
    nearness = np.zeros(len(talk.rows))
    nearness[known] = (vectors @ vector - unrelated) / (1 - unrelated)
    return nearness, known
