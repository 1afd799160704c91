"""From what a person types to terms: words and "quoted phrases"; stop words only where there is nothing else."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from threading import Lock
from typing import Literal, NamedTuple

import Stemmer

from apps.core.fulltext.definition import Language

MAX_CHARACTERS = 10_000
MAX_TERMS = 32
# Shorter ones begin too many words.
MIN_PREFIX = 2

TOKENIZERS = {"english": "porter unicode61 remove_diacritics 2", "plain": "unicode61 remove_diacritics 2"}

_STOP_WORDS = """
    a about above after again against ain all am an and any are aren as at be because been before being below between
    both but by can cannot could couldn d did didn do does doesn doing don down during each few for from further had
    hadn has hasn have haven having he her here hers herself him himself his how i if in into is isn it its itself just
    ll m ma me mightn more most mustn my myself needn no nor not now o of off on once only or other our ours ourselves
    out over own re s same shan she should shouldn so some such t than that the their theirs them themselves then there
    these they this those through to too under until up ve very was wasn we were weren what when where which while who
    whom why will with won would wouldn y you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

# Of the same author as FTS5's.
_porter = Stemmer.Stemmer("porter")
_stemming = Lock()


class Term(NamedTuple):
    """A word, or the words of a phrase with a space between; `is_open` when longer words that begin so will do."""

    text: str
    is_open: bool = False


class Query(NamedTuple):
    """What rows are to hold."""

    terms: Sequence[Term]
    wanted: Literal["all", "any"]


def read_terms(text: str, language: Language) -> list[Term]:
    """What is asked for, each once. The last word is open, unless stemming would open it to quite other words."""
    quoted = text[:MAX_CHARACTERS].split('"')
    phrases = [Term(" ".join(words)) for part in quoted[1:-1:2] if (words := words_of(part))]
    loose = quoted[::2] if len(quoted) % 2 else [*quoted[:-1:2], quoted[-1]]
    words = [word for part in loose for word in words_of(part)]
    said = [word for word in words if word.casefold() not in STOP_WORDS]
    if not said and not phrases:
        said = words
    terms = [*phrases, *map(Term, said)]
    if said and words_of(loose[-1])[-1:] == said[-1:] and _may_be_open(said[-1], language):
        terms[-1] = Term(said[-1], is_open=True)
    return list(dict.fromkeys(terms))[:MAX_TERMS]


def words_of(text: str) -> list[str]:
    """Its words, as the tokenizers part them: runs of letters, digits and the marks that belong to them."""
    return "".join(mark if _is_in_words(mark) else " " for mark in text[:MAX_CHARACTERS]).split()


def _is_in_words(mark: str) -> bool:
    return mark.isalnum() or unicodedata.category(mark) in {"Mn", "Mc", "Co"}


def _may_be_open(word: str, language: Language) -> bool:
    return len(word) >= MIN_PREFIX and (language == "plain" or _is_its_own_stem(word))


def _is_its_own_stem(word: str) -> bool:
    """Whether the English index holds it as it is typed."""
    apart = unicodedata.normalize("NFKD", word.casefold())
    folded = "".join(mark for mark in apart if unicodedata.category(mark) != "Mn")
    with _stemming:  # a stemmer must not be used by two threads at once
        return bool(_porter.stemWord(folded) == folded)
