"""Text as the memory compares it: who says it, its content words as stems, and the words that carry its meaning.

Pure. English stop words and stems; words of other languages and of code come through and match themselves. Scripts
without spaces between words are cut into overlapping pairs of characters, as search engines do.

A text may name its own speaker, as in a transcript: `Ann: We moved.` Who speaks is compared by itself and is no part
of what is said, since in a talk between two it tells every second turn from the others and drowns what it is about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from threading import Lock

import Stemmer

# What a text says beyond these characters is found by its meaning only: it is a document, not something that was said.
INDEXED_MAX = 20_000
WORD_MAX = 64
# Of a question, so many characters are read and so many stems looked for: each of them is looked up by itself.
ASKED_MAX = 8_000
STEMS_ASKED = 64

_PAIRED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
# No word holds it.
_BETWEEN_PARTS = "\0"
_WORD = re.compile(rf"(?P<paired>[{_PAIRED}]+)|[^\W_{_PAIRED}]+")
_NAMED_WORD = re.compile(r"[^\W_]+(?:['\u2019]s\b)?")
_CONTRACTION = re.compile(r"(?:\b(?:ai|ca|sha|wo))?n't\b|'(?:s|m|d|re|ve|ll)\b")
# The signs of notes and of languages named after them: F#, B♭, C++.
_SIGN = re.compile(r"(?<=[^\W\d_])([#\u266f]|\u266d|\+\+)")
_SIGN_NAMES = {"#": "sharp", "\u266f": "sharp", "\u266d": "flat", "++": "plusplus"}
_SPEAKER = re.compile(r"\s*(?P<name>[^\W\d_][\w.'\u2019-]*(?: [\w.'\u2019-]+){0,2}):\s+(?P<said>\S.*)", re.DOTALL)
# Of the questions' language, whatever the server's locale.
_MONTHS = "january february march april may june july august september october november december".split()  # noqa: SIM905
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_DIGIT, _NOT_ASCII = re.compile(r"\d"), re.compile(r"[^\x00-\x7f]+")
_ORDINAL = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)\b")
_DAY_OF_MONTH = re.compile(rf"\b(?P<day>\d{{1,2}}) (?:of )?{_MONTH}\b")
_MONTH_AND_DAY = re.compile(rf"\b{_MONTH} (?P<day>\d{{1,2}})\b")
_CLOSING = " \t\r\n\"')*_\u201d\u2019"
_QUESTION_MARKS = ("?", "\uff1f", "\u061f")

_STOP_WORDS = frozenset(
    """
    a about above after again all also am an and any are as at be because been before being below between both but by
    can cannot could did do does doing down during each few for from further get got had has have having he her here
    hers herself him himself his how i if in into is it its itself just let me more most must my myself no nor not of
    off on once only or other ought our ours ourselves out over own same shall she should so some such than that the
    their theirs them themselves then there these they this those through to too under until up very was we were what
    when where which while who whom whose why will with would you your yours yourself yourselves
    gonna hello hey hi oh ok okay please thank thanks wow yeah yes
    """.split()  # noqa: SIM905 -- a list of strings in quotes is harder to read
)

_stemmer = Stemmer.Stemmer("english")
_stemmer_lock = Lock()


@dataclass(frozen=True, slots=True)
class Said:
    """A text taken apart, to be remembered."""

    # Who says it, folded; empty when nobody is named.
    voice: str
    # The day it is said, then its content words in order, each as often as it is said; separated by spaces.
    stems: str
    asks: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A question taken apart, to recall by."""

    stems: tuple[str, ...]
    # Those whom it names of the voices that are known.
    voices: frozenset[str]
    # What to embed.
    words: str


def analyse(text: str, said_on: date, speaker: str = "") -> Said:
    """What to keep of a text; where no speaker is given, it may name its own."""
    name, said = speaker_and_said(text, speaker)
    stems = [*_date_stems(said_on), *content_stems(said[:INDEXED_MAX])]
    asks = said.rstrip(_CLOSING).endswith(_QUESTION_MARKS)
    return Said(voice=fold(name), stems=" ".join(stems), asks=asks)


def speaker_and_said(text: str, speaker: str = "") -> tuple[str, str]:
    """Who says it, and what, which is to be embedded; where no speaker is given, the text may name its own."""
    named = None if speaker else _SPEAKER.fullmatch(text)
    return (named["name"], named["said"]) if named else (speaker, text)


def ask(question: str, voices: Collection[str]) -> Question:
    """What to look for; the names of speakers are set apart, unless nothing else is asked. What is longer than a
    question is asked about by its beginning."""
    question = question[:ASKED_MAX]
    asked = set(_words(question))
    named = frozenset(voice for voice in voices if not asked.isdisjoint(_name_words(voice)))
    names = {word for voice in named for word in _name_words(voice)}
    rest = " ".join(_without(question, names).split())
    stems = dict.fromkeys(content_stems(rest))
    if not stems:
        rest, stems = question, dict.fromkeys(content_stems(question))
    return Question(stems=tuple(stems)[:STEMS_ASKED], voices=named, words=rest)


def content_stems(text: str) -> Iterator[str]:
    """The stems of its words in order, stop words left out."""
    return _stems(_spelled_out(fold(text)))


def stems_held(parts: Sequence[str], wanted: Collection[str]) -> list[set[str]]:
    """Of the wanted stems, those that each part of a text holds.

    Quick, since most parts hold none: a stem without its last letter begins every word that it is of, but for a few
    such as `dying`.
    """
    beginnings = {stem[:-1] or stem for stem in wanted}
    whole = _spelled_out(fold(_BETWEEN_PARTS.join(part.replace(_BETWEEN_PARTS, " ") for part in parts)))
    return [
        set(wanted).intersection(_stems(part)) if any(each in part for each in beginnings) else set()
        for part in whole.split(_BETWEEN_PARTS)
    ]


@lru_cache(maxsize=1_000)
def _date_stems(day: date) -> tuple[str, ...]:
    """As a question would say it: "in 2023", "in May", "on 3 May"."""
    return tuple(content_stems(f"{day.year} {_MONTHS[day.month - 1]} {day.day}"))


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of a folded word."""
    with _stemmer_lock:  # a stemmer must not be used by two threads at once
        stemmed: str = _stemmer.stemWord(word)
    return stemmed


def fold(text: str) -> str:
    """Without case, accents and typographic apostrophes."""
    return _NOT_ASCII.sub(_bare, text.casefold().replace("\u2019", "'"))


def _bare(characters: re.Match[str]) -> str:
    apart = unicodedata.normalize("NFKD", characters[0])
    return unicodedata.normalize("NFC", "".join(each for each in apart if unicodedata.category(each)[0] != "M"))


def _words(text: str) -> Iterator[str]:
    return _words_of(_spelled_out(fold(text)))


def _stems(spelled_out: str) -> Iterator[str]:
    return (stem(word[:WORD_MAX]) for word in _words_of(spelled_out) if word not in _STOP_WORDS)


def _words_of(spelled_out: str) -> Iterator[str]:
    for match in _WORD.finditer(spelled_out):
        if match["paired"] and len(match[0]) > 1:
            yield from map("".join, zip(match[0], match[0][1:], strict=False))
        else:
            yield match[0]


def _spelled_out(text: str) -> str:
    """Folded text, with one word for what is one: `f#` is `fsharp`; a day of a month is the month and `may3` too."""
    if "'" in text:
        text = _CONTRACTION.sub(" ", text)
    if _DIGIT.search(text):
        text = _ORDINAL.sub(r"\1", text)
        for date_words in (_DAY_OF_MONTH, _MONTH_AND_DAY):
            text = date_words.sub(r"\g<month> \g<month>\g<day>", text)
    if any(sign in text for sign in _SIGN_NAMES):
        text = _SIGN.sub(lambda sign: _SIGN_NAMES[sign[0]], text)
    return text


def _name_words(name: str) -> set[str]:
    words = {*_words(name)}
    return words - _STOP_WORDS or words


def _without(text: str, names: Set[str]) -> str:
    """The text without these folded words."""
    return _NAMED_WORD.sub(lambda word: "" if names >= set(_words(word[0])) else word[0], text)
