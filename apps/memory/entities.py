"""Who and what a text speaks of, by rules: people, places, organisations, addresses, links, dates, terms of music.

Pure, and bounded whatever the text is: it is read once, up to `MAX_TEXT`, and gives at most `MAX_ENTITIES`. The rules
would rather miss a name than make one up: a capital letter alone, above all at the start of a sentence, proves nothing;
it takes a known name, a telling word beside it, or a telling end such as `Records` or `Street`. Code and headings are
not read for names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from apps.memory import gazetteer as known
from apps.memory.names import fold_name, is_storable

MAX_ENTITIES = 40
# What is longer is a document, not something that was said; its beginning tells what it is about.
MAX_TEXT = 50_000
MAX_SENTENCE = 400  # words; what is longer is no sentence and is read in pieces
LONGEST_NAME = 6  # words
LONGEST_TERM = 4  # words, of places, gear and music

PERSON, PLACE, ORGANISATION = "person", "place", "organisation"
EMAIL, LINK, DATE, MUSIC = "email", "link", "date", "music"

# The speaker of what the assistant said: its "I" is nobody.
ASSISTANT = "Assistant"


class Found(NamedTuple):
    """An entity as it was said, and what it is: one of `Entity.Kind`."""

    name: str
    kind: str


class Token(NamedTuple):
    """A word, an address, or a single sign, in small letters too."""

    text: str
    lower: str
    is_word: bool


class Span(NamedTuple):
    """The words `start` to `end` (exclusive) of a sentence are an entity."""

    start: int
    end: int
    found: Found


@dataclass
class Sentence:
    """Words between two ends, and what was found among them."""

    tokens: list[Token]
    # A heading, or the short bold beginning of a list's line: capitals say nothing there.
    is_heading: bool = False
    is_question: bool = False
    spans: list[Span] = field(default_factory=list)

    @cached_property
    def musical_words(self) -> int:
        """How many of its words are surely of music."""
        return sum(token.lower in _PLAYING or token.lower.removesuffix("s") in _CERTAIN_MUSIC for token in self.tokens)


def extract_entities(text: str, *, speaker: str = "") -> list[Found]:
    """What the text speaks of, in order, each once. `speaker` is who wrote it; they are not among them as such."""
    found = (span.found for sentence in read_sentences(text) for span in sentence.spans)
    return unique(found, limit=MAX_ENTITIES)


def unique(found: Iterator[Found], *, limit: int) -> list[Found]:
    """The first `limit` that are called differently and can be stored."""
    kept: dict[str, Found] = {}
    for each in found:
        if is_storable(each.name):
            kept.setdefault(fold_name(each.name), each)
        if len(kept) == limit:
            break
    return list(kept.values())


def read_sentences(text: str) -> Iterator[Sentence]:
    """The sentences of a text one by one, with their entities."""
    for sentence in _sentences(text):
        sentence.spans = list(_spans(sentence))
        yield sentence


# --- From text to sentences

_TOKEN = re.compile(
    r"""
      (?P<link> (?:https?://|www\.) [^\s<>"`\[\]{}|\\^]{1,400} )
    | (?P<email> [\w.+%-]{1,64} @ (?:[a-zA-Z0-9-]{1,63}\.){1,6} [a-zA-Z]{2,24} \b )
    | (?P<tag> </?[a-zA-Z][^<>\n]{0,200}> )
    | (?P<numeric> \d{4}-\d\d-\d\d \b | \d{1,2}\.\d{1,2}\.\d{4} \b )
    | (?P<initial> (?<![^\W_]) [^\W\d_]\. (?=\s?[^\W\d_]) )
    | (?P<word> [^\W_]+ (?: (?:['\u2019&.-](?=[^\W_])) [^\W_]+ )* [♯\#]? )
    | (?P<end> [.!?\u2026\u3002\uff01\uff1f]+ | \n )
    | (?P<sign> [^\s*_~] )
    """,
    re.VERBOSE,
)
_LINE_START = re.compile(r"[ \t]*(?:(?:[-*+•>]|\d{1,3}[.)])[ \t]+)*")
_HEADING = re.compile(r"[ \t]*(?:#{1,6}[ \t]|\*\*[^*\n]{1,120}(?::\*\*|\*\*:|\*\*[ \t]*$)|[|])")
_INLINE_CODE = re.compile(r"`[^`\n]{0,500}`")


def _sentences(text: str) -> Iterator[Sentence]:
    for line in _prose(text):
        heading = _HEADING.match(line)
        if heading and line[heading.end() - 1] not in ":*":
            yield Sentence(list(_tokens(line)), is_heading=True)
            continue
        if heading:
            yield Sentence(list(_tokens(line[: heading.end()])), is_heading=True)
        start = heading.end() if heading else _start_of(line)
        yield from _cut(_tokens(line[start:]))


def _start_of(line: str) -> int:
    """Where a line begins to say something, after its bullet or number."""
    match = _LINE_START.match(line)
    return match.end() if match else 0


def _prose(text: str) -> Iterator[str]:
    """The lines that are no code."""
    fence = ""
    for line in text[:MAX_TEXT].replace("\0", " ").splitlines():
        mark = line.lstrip()[:3]
        if mark in {"```", "~~~"} and (not fence or mark == fence):
            fence = "" if fence else mark
        elif not fence and not line.startswith(("    ", "\t")):
            yield _INLINE_CODE.sub(" , ", line)


def _tokens(line: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(line):
        kind, text = match.lastgroup, match[0]
        if kind == "link":
            text = _without_tail(text)
        elif kind == "tag":
            continue
        elif kind == "word":
            yield from _words(text)
            continue
        yield Token(text, text.lower(), kind in {"link", "email", "numeric", "initial"})


def _words(text: str) -> Iterator[Token]:
    """The parts of a word such as `Anna's` or `I'm`: what it says without its contraction, then that."""
    text = text.replace("\u2019", "'")
    stem, mark, tail = text.rpartition("'")
    if mark and tail.lower() in {"s", "m", "re", "ve", "ll", "d"}:
        yield Token(stem, stem.lower(), is_word=True)
        yield Token(mark + tail, mark + tail.lower(), is_word=True)
    else:
        yield Token(text, text.lower(), is_word=True)


def _without_tail(link: str) -> str:
    """A link without the signs that belong to the sentence around it."""
    link = link.rstrip(".,;:!?'*_~")
    while link.endswith(")") and link.count(")") > link.count("("):
        link = link[:-1].rstrip(".,;:!?'*_~")
    return link


def _cut(tokens: Iterator[Token]) -> Iterator[Sentence]:
    """Sentences of one line."""
    sentence: list[Token] = []
    for token in tokens:
        after_title = bool(sentence) and sentence[-1].lower in _ABBREVIATIONS
        if token.text[0] in _ENDS and not (token.text == "." and after_title):
            yield Sentence(sentence, is_question="?" in token.text)
            sentence = []
        elif token.text != ".":
            sentence.append(token)
        if len(sentence) == MAX_SENTENCE:
            yield Sentence(sentence)
            sentence = []
    if sentence:
        yield Sentence(sentence)


_ENDS = ".!?\u2026\u3002\uff01\uff1f"
_ABBREVIATIONS = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "feat", "ft", "vs", "op", "no"})

# --- From sentences to entities


def _spans(sentence: Sentence) -> Iterator[Span]:
    tokens, position = sentence.tokens, 0
    while position < len(tokens):
        span = _span_at(sentence, position) if tokens[position].is_word else None
        if span:
            yield span
        position = span.end if span else max(position + 1, _after_capitals(sentence, position))


def _span_at(sentence: Sentence, at: int) -> Span | None:
    """What begins with this word."""
    readers = (_address, _date, _gear, _musical_key, _measure, _capitalised, _term)
    for reader in readers:
        if not (reader is _capitalised and sentence.is_heading) and (span := reader(sentence, at)):
            return span
    return None


def _address(sentence: Sentence, at: int) -> Span | None:
    token = sentence.tokens[at]
    if token.lower.startswith(("http://", "https://", "www.")) and len(token.text) > len("https://"):
        return Span(at, at + 1, Found(token.text, LINK))
    if "@" in token.text:
        return Span(at, at + 1, Found(token.text, EMAIL))
    return None


# Dates: a day is told in one form, so that one day is one entity.

_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)\Z")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})\Z")
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\Z")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d\Z")
_WEEKDAYS = {day.casefold(): f"{day}s" for day in known.WEEKDAYS}


def _date(sentence: Sentence, at: int) -> Span | None:
    first = sentence.tokens[at].lower
    if not (first[0].isdigit() or first in known.MONTH_NUMBERS or first.removesuffix("s") in _WEEKDAYS):
        return None
    lower = [token.lower for token in sentence.tokens[at : at + 5]]
    if match := _ISO.match(lower[0]):
        year, month, day = match.groups()
        return _day_span(at, 1, day, int(month), year)
    if match := _DOTTED.match(lower[0]):
        day, month, year = match.groups()
        return _day_span(at, 1, day, int(month), year)
    before = sentence.tokens[at - 1].lower if at else ""
    return _written_date(at, lower, sentence.tokens[at].text) or _recurring(at, lower[0], before)


def _written_date(at: int, lower: Sequence[str], first: str) -> Span | None:
    """`12 March 2026`, `12th of March`, `March 12, 2026`, `March 2026`."""
    padded = [*lower, "", "", "", "", ""]
    if match := _DAY.match(padded[0]):
        skip = 2 if padded[1] == "of" else 1
        if month := _month(padded[skip]):
            year = _year(padded[skip + 1 :])
            return _day_span(at, skip + 1 + year.length, match[1], month, year.text)
    elif (month := _month(padded[0])) and first[0].isupper():
        if (match := _DAY.match(padded[1])) and padded[1] != "":
            year = _year(padded[2:])
            return _day_span(at, 2 + year.length, match[1], month, year.text)
        if _YEAR.match(padded[1]):
            return Span(at, at + 2, Found(f"{known.MONTHS[month - 1]} {padded[1]}", DATE))
    return None


def _month(word: str) -> int | None:
    return known.MONTH_NUMBERS.get(word.rstrip("."))


class _Year(NamedTuple):
    text: str
    length: int  # in words


def _year(following: Sequence[str]) -> _Year:
    skip = 1 if following[0] == "," else 0
    return _Year(following[skip], skip + 1) if _YEAR.match(following[skip]) else _Year("", 0)


def _day_span(at: int, count: int, day: str, month: int, year: str) -> Span | None:
    if not (1 <= int(day) <= 31 and 1 <= month <= 12):
        return None
    name = f"{int(day)} {known.MONTHS[month - 1]} {year}".strip()
    return Span(at, at + count, Found(name, DATE))


def _recurring(at: int, lower: str, before: str) -> Span | None:
    """`every Friday`, `on Fridays`, `in 1985`. A mere `Friday` is another day each week."""
    name = _WEEKDAYS.get(lower.removesuffix("s"), "")
    if name and (before == "every" or lower.endswith("days")):
        return Span(at, at + 1, Found(name, DATE))
    if before in {"in", "since", "until", "year"} and _YEAR.match(lower):
        return Span(at, at + 1, Found(lower, DATE))
    return None


# Music

_KEY = re.compile(r"[A-G](?:b|♭|#|♯|-flat|-sharp)?\Z")
_TEMPO = re.compile(r"\d{2,3}(?:\.\d)?\Z")
_METRE = re.compile(r"[1-9]\d?\Z")
_PLAYING = frozenset(
    {
        *(
            "play",
            "plays",
            "played",
            "playing",
            "practise",
            "practice",
            "practising",
            "practicing",
            "learn",
            "learning",
        ),
        *("learned", "learnt", "tune", "record", "instrument", "instruments", "music", "song", "songs", "band", "gig"),
        *("concert", "lesson", "lessons", "solo", "track", "tracks", "album", "loud", "love", "loves"),
    }
)


def _gear(sentence: Sentence, at: int) -> Span | None:
    """Instruments, programs and machines by their makers' names."""
    if sentence.tokens[at].lower not in _FIRST_OF_GEAR:
        return None
    for count in range(LONGEST_TERM, 0, -1):
        window = sentence.tokens[at : at + count]
        name = known.GEAR.get(" ".join(token.lower for token in window))
        if name and len(window) == count and window[0].text[0].isupper():
            return Span(at, at + count, Found(name, MUSIC))
    return None


def _musical_key(sentence: Sentence, at: int) -> Span | None:
    """`F# minor`, `B flat major`."""
    tokens = sentence.tokens
    if not _KEY.match(tokens[at].text):
        return None
    following = [token.lower for token in tokens[at + 1 : at + 3]]
    accidental = following[0] if following and following[0] in {"flat", "sharp"} else ""
    mode = following[1:2] if accidental else following[:1]
    if mode not in (["major"], ["minor"]):
        return None
    name = " ".join(part for part in (tokens[at].text, accidental, mode[0]) if part)
    return Span(at, at + (3 if accidental else 2), Found(name, MUSIC))


def _measure(sentence: Sentence, at: int) -> Span | None:
    """`120 bpm`, `7/8 time`."""
    if not sentence.tokens[at].text[0].isdigit():
        return None
    texts = [token.lower for token in sentence.tokens[at : at + 4]]
    if len(texts) > 1 and texts[1] == "bpm" and _TEMPO.match(texts[0]):
        return Span(at, at + 2, Found(f"{texts[0]} bpm", MUSIC))
    is_metre = len(texts) == 4 and texts[1] == "/" and texts[3] in {"time", "metre", "meter"}
    if is_metre and _METRE.match(texts[0]) and texts[2] in {"2", "4", "8", "16"}:
        return Span(at, at + 4, Found(f"{texts[0]}/{texts[2]} time", MUSIC))
    return None


def _term(sentence: Sentence, at: int) -> Span | None:
    tokens = sentence.tokens
    if tokens[at].lower not in _FIRST_OF_TERMS:
        return None
    for count in range(min(LONGEST_TERM, len(tokens) - at), 0, -1):
        term = _known_term(" ".join(token.lower for token in tokens[at : at + count]))
        if term and (term not in known.DOUBTFUL_MUSIC or _is_musical(sentence, term)):
            return Span(at, at + count, Found(term, MUSIC))
    return None


def _known_term(phrase: str) -> str:
    """The one form of an instrument, genre or role, be it said in the plural; empty for anything else."""
    for form in (phrase, phrase.removesuffix("s"), phrase.removesuffix("es")):
        if form in _TERMS:
            return form
    return ""


def _is_musical(sentence: Sentence, term: str) -> bool:
    """Whether the sentence speaks of music, this doubtful word of it aside."""
    return sentence.musical_words > (term in _PLAYING)


_TERMS = known.INSTRUMENTS | known.GENRES | known.ROLES
_CERTAIN_MUSIC = _TERMS - known.DOUBTFUL_MUSIC
_KNOWN = (known.PLACES - known.COMMON_PLACES) | known.ORGANISATIONS | known.GEAR.keys() | _TERMS
_FIRST_OF_TERMS = {term.split()[0] + ending for term in _TERMS for ending in ("", "s", "es")}
_FIRST_OF_GEAR = {name.split()[0] for name in known.GEAR}


# Capitalised names


def _capitalised(sentence: Sentence, at: int) -> Span | None:
    """A name of one or several words: as far as ampersands go on, or up to the first of them."""
    end = _run_end(sentence.tokens, at)
    joined_end = _joined_end(sentence.tokens, at, end)
    joined = _named(sentence, at, joined_end) if joined_end > end else None
    return joined or _named(sentence, at, end)


def _named(sentence: Sentence, at: int, run_end: int) -> Span | None:
    """The name that this run of words is, the common ones at its end aside."""
    start, end = _trimmed(sentence, at, run_end)
    if start != at or start >= end:
        return None
    name = Name(sentence, start, end)
    kind = name.kind
    return Span(start, end, Found(name.text, kind)) if kind else None


def _after_capitals(sentence: Sentence, at: int) -> int:
    """Where to go on when no name begins here: within a run, at its next word that might begin one."""
    if not _is_capital(sentence.tokens[at]):
        return at + 1
    start, end = _trimmed(sentence, at, _run_end(sentence.tokens, at))
    return start if start > at else at + 1 if end - at <= LONGEST_NAME else end


def _is_capital(token: Token) -> bool:
    return token.is_word and token.text[0].isupper() and token.lower not in {"i", "'s"}


def _run_end(tokens: Sequence[Token], at: int) -> int:
    """The end of the capitalised words that begin here, joined by small connecting ones."""
    if not _is_capital(tokens[at]):
        return at
    end = at + 1
    while end < len(tokens) and end - at < 4 * LONGEST_NAME:
        if _is_capital(tokens[end]):
            end += 1
        elif (step := _connected(tokens, end)) > end:
            end = step
        else:
            break
    return end


def _connected(tokens: Sequence[Token], at: int) -> int:
    """After the capitalised word that up to two connecting ones lead to; `at` where there is none."""
    for count in (1, 2):
        following = tokens[at : at + count + 1]
        joins = all(token.lower in known.CONNECTORS for token in following[:count])
        if joins and len(following) == count + 1 and _is_capital(following[count]):
            is_of = any(token.lower == "of" for token in following[:count])
            return at + count + 1 if not is_of or _may_go_on(tokens[at - 1]) else at
    return at


def _joined_end(tokens: Sequence[Token], at: int, end: int) -> int:
    """The end of what ampersands join to the capitalised words from `at` to `end`."""
    while end - at < LONGEST_NAME and end + 1 < len(tokens) and _is_ampersand(tokens[end]):
        if not _is_capital(tokens[end + 1]):
            break
        end = _run_end(tokens, end + 1)
    return end


def _is_ampersand(token: Token) -> bool:
    return token.text == "&"


def _may_go_on(token: Token) -> bool:
    """Whether `of` may continue a name after this word, as in `University of Porto`, but not in `Anna of Porto`."""
    return token.lower in known.ORGANISATION_STARTS | known.ORGANISATION_ENDS | known.PLACE_ENDS


def _trimmed(sentence: Sentence, start: int, end: int) -> tuple[int, int]:
    """Without the common words at both ends, which are capitalised for another reason."""
    tokens = sentence.tokens
    while start < end and _is_common(tokens[start].lower) and not _begins_place(tokens, start, end):
        start += 1
    while end > start and _is_no_end(tokens[end - 1]):
        end -= 1
    return start, end


def _is_no_end(token: Token) -> bool:
    return _is_common(token.lower) or token.lower in known.CONNECTORS or _is_ampersand(token)


def _is_common(lower: str) -> bool:
    return lower in known.NOT_NAMES and lower not in known.COMMON_NAMES


def _begins_place(tokens: Sequence[Token], start: int, end: int) -> bool:
    return " ".join(token.lower for token in tokens[start:end]) in known.PLACES and end - start > 1


@dataclass(frozen=True)
class Name:
    """A run of capitalised words in its sentence, and what it can be by what is known and what stands beside it."""

    sentence: Sentence
    start: int
    end: int

    @property
    def text(self) -> str:
        """As it was said."""
        return " ".join(token.text.rstrip(".") if len(token.text) > 2 else token.text for token in self._tokens)

    @property
    def kind(self) -> str:
        """What it is; empty when nothing proves that it is anything."""
        if self.end - self.start > LONGEST_NAME or not self._has_letters:
            return ""
        if len(self._parts) > 1:
            return self._by_ampersand()
        deciders = (
            self._by_title,
            self._by_initials,
            self._by_lists,
            self._by_ending,
            self._by_given_name,
            self._by_neighbours,
        )
        return next((kind for decide in deciders if (kind := decide())), "")

    @property
    def is_known(self) -> bool:
        """Whether a list has it, whatever stands beside it; or a title leads it."""
        return self._lower in _KNOWN or self._tokens[0].lower in known.TITLES

    @property
    def is_complete(self) -> bool:
        """Whether it ends as an organisation or a place does."""
        return bool(self._by_ending())

    @property
    def is_somebody(self) -> bool:
        """Whether it begins as the name of a person does."""
        return bool(self._by_initials()) or self._given_name in known.GIVEN_NAMES

    @property
    def _tokens(self) -> Sequence[Token]:
        return self.sentence.tokens[self.start : self.end]

    @property
    def _lower(self) -> str:
        return " ".join(token.lower for token in self._tokens)

    @property
    def _has_letters(self) -> bool:
        return all(_is_ampersand(token) or any(map(str.isalpha, token.text)) for token in self._tokens)

    @property
    def _given_name(self) -> str:
        return self._tokens[0].lower.partition("-")[0]

    @property
    def _parts(self) -> list[Name]:
        """What stands between its ampersands."""
        marks = [place for place in range(self.start, self.end) if _is_ampersand(self.sentence.tokens[place])]
        starts, ends = [self.start, *(mark + 1 for mark in marks)], [*marks, self.end]
        return [Name(self.sentence, start, end) for start, end in zip(starts, ends, strict=True)]

    @property
    def _is_single(self) -> bool:
        return self.end - self.start == 1

    @property
    def _is_first(self) -> bool:
        """Whether the sentence, or a quotation in it, begins here, where everything has a capital letter."""
        return self.start == 0 or self.sentence.tokens[self.start - 1].text in {'"', "“", "(", ":", "„", "«", "'"}

    def _before(self, distance: int = 1) -> str:
        index = self.start - distance
        return self.sentence.tokens[index].lower if index >= 0 else ""

    @property
    def _after(self) -> str:
        return self.sentence.tokens[self.end].lower if self.end < len(self.sentence.tokens) else ""

    @property
    def _context(self) -> set[str]:
        """The few words before it."""
        return {token.lower for token in self.sentence.tokens[max(0, self.start - 6) : self.start]}

    @property
    def _is_placed(self) -> bool:
        """Whether the words before it speak of a place, as in `moved to`."""
        is_led = self._before() in known.PLACE_PREPOSITIONS
        return is_led and not known.PLACE_VERBS.isdisjoint(self._context | {self._before()})

    @property
    def _is_somebodys(self) -> bool:
        """Whether a word of kin leads to it: `my sister Anna`, `a friend called Bo`, `my brother is Tom`."""
        near = {self._before(), self._before(2), self._before(3)} & known.KIN
        telling = {"called", "named", "is", "name", ",", *known.KIN}
        return bool(near) and self._before() in telling

    def _by_title(self) -> str:
        first = self._tokens[0].lower
        return PERSON if first in known.TITLES and not self._is_single else ""

    def _by_initials(self) -> str:
        is_initial = len(self._tokens[0].text) == 2 and self._tokens[0].text[1] == "."
        return PERSON if is_initial and len(self._tokens[-1].text) > 2 and not self._is_single else ""

    def _by_lists(self) -> str:
        lower = self._lower
        if lower in known.ORGANISATIONS:
            return ORGANISATION
        if lower not in known.PLACES:
            return ""
        if lower in known.COMMON_PLACES:
            return PLACE if self._is_placed else ""
        is_led = self._is_placed or self._before() in {"in", "from", "to", "near", "around"}
        return PERSON if lower in known.PERSONAL_PLACES & known.GIVEN_NAMES and not is_led else PLACE

    def _by_ending(self) -> str:
        if self._is_single:
            return ""
        first, last = self._tokens[0].lower, self._tokens[-1].lower
        if last in known.ORGANISATION_ENDS or (first in known.ORGANISATION_STARTS and "of" in self._lower.split()):
            return ORGANISATION
        return PLACE if last in known.PLACE_ENDS else ""

    def _by_given_name(self) -> str:
        if self._given_name not in known.GIVEN_NAMES or self._is_shouted:
            return ""
        if self._given_name not in known.COMMON_NAMES:
            return PERSON
        if not self._is_single and not self._is_first:
            return PERSON
        return PERSON if self._is_met or self._is_somebodys or (not self._is_first and self._acts) else ""

    def _by_neighbours(self) -> str:
        if self._is_somebodys:
            return PERSON
        if self._is_shouted or self._is_remainder or self._tokens[0].lower in known.TITLES:
            return ""
        if self._is_group:
            return ORGANISATION
        if self._is_placed and self._before() not in {"at", "of"} and not self._is_first:
            return PLACE
        return PERSON if self._is_met or (self._acts and not self._is_first) else ""

    def _by_ampersand(self) -> str:
        """One name, where it is known to be one: a capital letter on both sides is none."""
        *first, last = self._parts
        people = [part for part in (*first, last) if part.is_somebody and not part.is_complete]
        are_several = any(part.is_known for part in (*first, last)) or any(part.is_complete for part in first)
        if are_several or self._is_remainder or len(people) > 1:
            return ""
        if last.is_complete:
            return self._by_ending()
        return ORGANISATION if self._is_group or (self._acts and not people) else ""

    @property
    def _is_group(self) -> bool:
        """Whether the words before it speak of people who work or play together: `work at`, `a band called`."""
        if self._before() in {"at", "for"} and known.WORK_VERBS & self._context:
            return True
        near = {self._before(), self._before(2)} & known.GROUPS
        return bool(near) and self._before() in {"called", "named", *known.GROUPS}

    @property
    def _is_remainder(self) -> bool:
        """Whether it is the end of a longer name, of which nothing is known."""
        before = self.sentence.tokens[self.start - 1] if self.start else None
        return bool(before and _is_capital(before) and not _is_common(before.lower))

    @property
    def _is_shouted(self) -> bool:
        """Written in capitals alone: an abbreviation, or shouting."""
        return all(token.text.isupper() and len(token.text) > 1 for token in self._tokens)

    @property
    def _is_met(self) -> bool:
        return self._before() in known.MEETING_WORDS

    @property
    def _acts(self) -> bool:
        return self._after in known.HUMAN_VERBS or (self._after == "and" and self._before() in {"by", "with"})
