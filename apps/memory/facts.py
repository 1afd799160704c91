"""What a text says about whom, by rules: `Anna plays cello`, with whom `I` and `she` stand for.

A sentence is written anew in small letters with a mark for each entity, `<person:0> plays the <music:1>`, and patterns
read that: somebody first, then predicates one after the other. Questions and suppositions say nothing. Pure; bounded by
`MAX_FACTS`, and each sentence by its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from apps.memory import gazetteer as known
from apps.memory.entities import (
    DATE,
    MAX_ENTITIES,
    PERSON,
    Found,
    Sentence,
    read_sentences,
    unique,
)
from apps.memory.names import fold_name

MAX_FACTS = 40
# Words; in a longer sentence it is not sure any more who does what.
LONGEST_TELLING = 80


class Fact(NamedTuple):
    """Subject, predicate, object."""

    subject: Found
    predicate: str
    object: Found


class Reading(NamedTuple):
    """What one text gives."""

    entities: list[Found]
    facts: list[Fact]

    @property
    def is_empty(self) -> bool:
        """Whether it speaks of nobody and nothing."""
        return not (self.entities or self.facts)


def extract_facts(text: str, *, speaker: str = "") -> list[Fact]:
    """The facts of a text, in order, each once. `speaker` is who says "I"; without one, "I" is nobody."""
    return read_text(text, speaker=speaker).facts


def read_text(text: str, *, speaker: str = "") -> Reading:
    """Entities and facts in one pass; whoever a fact is about is among the entities."""
    teller = _Teller(Found(speaker, PERSON) if speaker else None)
    found: list[Found] = []
    facts: dict[Fact, None] = {}
    for sentence in read_sentences(text):
        found += [span.found for span in sentence.spans]
        facts.update(dict.fromkeys(islice(teller.facts(sentence), MAX_FACTS)))
        if len(facts) >= MAX_FACTS or len(found) >= 4 * MAX_ENTITIES:
            break
    entities = unique(iter(found), limit=MAX_ENTITIES)
    kept = {fold_name(entity.name) for entity in entities}
    if teller.speaker:
        kept.add(fold_name(teller.speaker.name))
    told = [fact for fact in facts if {fold_name(fact.subject.name), fold_name(fact.object.name)} <= kept]
    if teller.speaker and any(teller.speaker in fact for fact in told):
        entities = unique(iter([teller.speaker, *entities]), limit=MAX_ENTITIES + 1)
    return Reading(entities, told[:MAX_FACTS])


# --- The patterns

_ADVERB = r"(?: (?:also|now|really|still|currently|usually|often|just|both|always|actually|recently|absolutely))?"
_KIN = r"(?P<kin>" + "|".join(sorted((re.escape(word) for word in known.KIN), key=len, reverse=True)) + r")"
_ARTICLE = r"(?: (?:the|a|an|some|my|his|her|their|our))?"
_ENTITY = r"<\w+:\d+>"


def _list_of(kinds: str) -> str:
    """One to five entities of these kinds: `the <music:0> , <music:1> and the <music:2>`."""
    one = rf"{_ARTICLE} <(?:{kinds}):\d+>"
    return rf"(?P<objects>{one}(?:(?: ,)?(?: and| or| &)?{one}){{0,4}})"


_IS_DOING = "(?:am|is|are) "
_AS_A = r"(?: as (?:a|an) (?:<music:\d+>|[^<>,]{1,30}))?"
_PLAYING = r"(?: (?:playing|listening to|hearing|visiting))?"
# What the predicate is called, how it is said, what its objects may be.
_PREDICATES: list[tuple[str, str, str]] = [
    ("lives in", rf"(?:lives?|{_IS_DOING}living)(?: with [^<>,]{{1,20}})? (?:in|at|near|on)", "place"),
    ("lived in", r"(?:lived|used to live|have lived|has lived) (?:in|at|near|on)", "place"),
    ("moved to", rf"(?:moved|{_IS_DOING}moving|relocated)(?: back)? to", "place"),
    ("is from", r"(?:am|is|are|comes?|came)(?: originally)? from", "place"),
    ("was born in", r"(?:was|were) born in", "place|date"),
    ("was born on", r"(?:was|were) born on", "date"),
    ("grew up in", r"grew up (?:in|near|on)", "place"),
    ("was raised in", r"(?:was|were) raised in", "place"),
    ("visited", r"(?:(?:have |has )?visited|travell?ed to|flew to|went to|(?:have|has) been to)", "place"),
    ("works at", rf"(?:works?|{_IS_DOING}working|teach|teaches){_AS_A} (?:at|for|with)", "organisation"),
    ("worked at", rf"(?:worked|used to work){_AS_A} (?:at|for|with)", "organisation"),
    ("works in", r"works? in", "place"),
    (
        "studies at",
        rf"(?:study|studies|{_IS_DOING}studying)(?: [^<>,]{{1,30}}| <music:\d+>)? (?:at|in)",
        "organisation",
    ),
    ("studied at", r"(?:studied|graduated)(?: [^<>,]{1,30}| <music:\d+>)? (?:at|from|in)", "organisation"),
    ("studies", rf"(?:study|studies|{_IS_DOING}studying)", "music"),
    ("plays", rf"(?:plays?|{_IS_DOING}playing|practi[sc]es?)", "music"),
    ("played", r"(?:played|used to play)", "music"),
    (
        "plays in",
        rf"(?:plays?|sings?|performs?)(?:{_ARTICLE} <music:\d+>)? (?:in|with|for)(?: (?:a|the) \w+(?: called)?)?",
        "organisation",
    ),
    ("is learning", rf"(?:learns?|{_IS_DOING}learning(?: to play)?|started (?:learning|playing))", "music"),
    ("teaches", r"(?:teach|teaches)", "music"),
    ("taught", r"taught", "music"),
    ("uses", rf"(?:uses?|{_IS_DOING}using|mix in|records? with|produce in)", "music"),
    ("owns", r"(?:owns?|have|has|bought|(?:have |has )?got)", "music"),
    ("is a", rf"(?:am|is|are|works? as|{_IS_DOING}working as)", "music"),
    ("was a", r"(?:was|were|used to be)", "music"),
    ("loves", rf"(?:loves?|adores?){_PLAYING}", r"\w+"),
    ("likes", rf"(?:likes?|enjoys?|am into|is into){_PLAYING}", r"\w+"),
    ("prefers", rf"prefers?{_PLAYING}", r"\w+"),
    ("hates", rf"(?:hates?|dislikes?){_PLAYING}", r"\w+"),
    ("is married to", r"(?:am|is|got|was)(?: happily)? married to", "person"),
    ("married", r"married", "person"),
    ("met", r"(?:have |has )?met", "person"),
    ("joined", r"(?:have |has )?joined", "organisation"),
    ("is a member of", r"(?:am|is|are)(?: a)? (?:member|part) of", "organisation"),
    ("founded", r"(?:founded|started|set up|runs?)", "organisation"),
    ("recorded at", rf"(?:recorded|records?|{_IS_DOING}recording)(?: [^<>,]{{1,30}})? (?:at|in)", "place|organisation"),
    ("can be reached at", r"can be (?:reached|found) at", "email|link"),
]
_SAID = [
    (predicate, re.compile(rf"{_ADVERB} {verb}{_list_of(kinds)}(?! <|\w)")) for predicate, verb, kinds in _PREDICATES
]
# What people do again and again somewhere: `rehearse on <date:0> at <place:1>`.
_HABIT = re.compile(
    rf"{_ADVERB} (?P<verb>rehearse|practi[sc]e|perform|meet|record|play|teach|train)e?s?(?P<where>"
    rf"(?:(?: [a-z']+){{0,3}} (?:on|every|at|in){_ARTICLE} <(?:date|place|organisation):\d+>){{1,3}})"
)
_OCCASION = re.compile(rf"(?P<word>on|every|at|in){_ARTICLE} (?P<object><(?:date|place|organisation):\d+>)")
_AND_ALSO = re.compile(r"(?: ,)?(?: and| but)(?: (?:he|she|i|we|they))?(?= )| ,(?= (?:he|she|i|we|who) )")

_SUBJECT = re.compile(
    r"(?<!\S)(?:(?P<both><person:\d+>) (?:and|&) )?(?P<who>i|we|he|she|<person:\d+>)"
    r"(?: , (?:my|his|her|our) [^<>,]{1,30} ,)?(?: who)?(?= )"
)

_KIN_SAID = [
    # my sister Anna · my sister is called Anna · my brother's name is Tom · Alice's sister Anna
    re.compile(
        rf"(?<!\S)(?P<whose>my|our|<person:\d+> 's)(?: [a-z-]+){{0,2}} {_KIN}"
        r"(?: ,| 's name is| is called| is named| called| named| is)? (?P<who><person:\d+>)"
    ),
    # Anna is my sister · Anna, my sister
    re.compile(
        rf"(?P<who><person:\d+>) (?:is|was|,) (?P<whose>my|our|<person:\d+> 's)(?: [a-z-]+){{0,2}} {_KIN}(?! <)"
    ),
]
_ADDRESS_SAID = [
    re.compile(
        r"(?P<whose>my|<person:\d+> 's) (?:new )?(?:e-?mail(?: address)?|address|website|site|page|blog)"
        r"(?: is| :| at)? (?P<object><(?:email|link):\d+>)"
    ),
    re.compile(
        r"(?P<whose>e-?mail|write(?: to)?|reach|contact) me (?:at|on|under|via) (?P<object><(?:email|link):\d+>)"
    ),
    re.compile(r"(?P<whose><person:\d+>) \( (?P<object><email:\d+>) \)"),
]
_BORN_SAID = re.compile(r"(?P<whose>my|<person:\d+> 's) birthday(?: is)?(?: on)? (?P<object><date:\d+>)")
_NAME_SAID = re.compile(
    r"(?<!\S)(?:my(?: full)? name is|(?:please )?call me|i am called|i go by) (?P<object><person:\d+>)"
)
_SUPPOSED = re.compile(r"\b(?:if|would|wish|might|maybe|perhaps|imagine|suppose|could|should|unless|pretend)\b")
_PERSON = re.compile(r"<person:\d+>")
_NUMBER = re.compile(r"<\w+:(\d+)>")


# --- Reading with them


@dataclass
class _Teller:
    """Whose words are read, and who was spoken of last."""

    speaker: Found | None
    last_person: Found | None = None

    def facts(self, sentence: Sentence) -> Iterator[Fact]:
        """What one sentence says; what `she` means in it was said before."""
        if not (sentence.is_question or sentence.is_heading or len(sentence.tokens) > LONGEST_TELLING):
            told = _Told(_rewritten(sentence), [span.found for span in sentence.spans], self)
            if sentence.spans and not _SUPPOSED.search(told.text):
                yield from told.facts()
        people = {span.found for span in sentence.spans if span.found.kind == PERSON}
        if people:
            self.last_person = people.pop() if len(people) == 1 else None


@dataclass(frozen=True)
class _Told:
    """One sentence, rewritten."""

    text: str
    found: list[Found]
    teller: _Teller

    def facts(self) -> Iterator[Fact]:
        """Everything it says."""
        for each in (*self._of_kin(), *self._of_addresses(), *self._of_names(), *self._of_subjects()):
            if each.subject != each.object and fold_name(each.subject.name) != fold_name(each.object.name):
                yield each

    def _who(self, said: str) -> Found | None:
        """Whom a word such as `i`, `my` or a mark stands for."""
        if match := _NUMBER.search(said):
            return self.found[int(match[1])]
        return self.teller.last_person if said in {"he", "she"} else self.teller.speaker

    def _fact(self, subject: Found | None, predicate: str, said: str) -> Iterator[Fact]:
        obj = self._who(said)
        if subject and obj:
            yield Fact(subject, predicate, obj)

    def _of_kin(self) -> Iterator[Fact]:
        for pattern in _KIN_SAID:
            for match in pattern.finditer(self.text):
                yield from self._fact(self._who(match["who"]), f"is {match['kin']} of", match["whose"])

    def _of_addresses(self) -> Iterator[Fact]:
        for pattern in _ADDRESS_SAID:
            for match in pattern.finditer(self.text):
                kind = "e-mail" if match["object"].startswith("<email") else "page"
                yield from self._fact(self._who(match["whose"]), f"has {kind}", match["object"])
        for match in _BORN_SAID.finditer(self.text):
            yield from self._fact(self._who(match["whose"]), "has birthday on", match["object"])

    def _of_names(self) -> Iterator[Fact]:
        for match in _NAME_SAID.finditer(self.text):
            yield from self._fact(self.teller.speaker, "is called", match["object"])

    def _of_subjects(self) -> Iterator[Fact]:
        for match in _SUBJECT.finditer(self.text):
            for subject in filter(None, (self._meant(match), match["both"] and self._who(match["both"]))):
                yield from self._predicates(subject, match.end())

    def _meant(self, subject: re.Match[str]) -> Found | None:
        """Who does it: `she` is the one person that this sentence has named by then, or else the last one."""
        named = set(_PERSON.findall(self.text, 0, subject.start()))
        if subject["who"] not in {"he", "she"} or not named:
            return self._who(subject["who"])
        return self._who(named.pop()) if len(named) == 1 else None

    def _predicates(self, subject: Found, at: int) -> Iterator[Fact]:
        """What is said of the subject from here on, one predicate after the other."""
        while at >= 0:
            at, facts = self._predicate(subject, at)
            yield from facts

    def _predicate(self, subject: Found, at: int) -> tuple[int, list[Fact]]:
        """The facts of what stands here, and where the next predicate does; -1 when there is none."""
        if habit := _HABIT.match(self.text, at):
            return self._next(habit.end()), list(self._habit(subject, habit))
        said = [(name, match) for name, pattern in _SAID if (match := pattern.match(self.text, at))]
        facts = [
            Fact(subject, name, self.found[int(mark[1])])
            for name, match in said
            for mark in _NUMBER.finditer(match["objects"])
        ]
        return self._next(max((match.end() for _, match in said), default=-1)), facts

    def _next(self, end: int) -> int:
        match = _AND_ALSO.match(self.text, end) if end >= 0 else None
        return match.end() if match else -1

    def _habit(self, subject: Found, habit: re.Match[str]) -> Iterator[Fact]:
        verb = habit["verb"] + ("es" if habit["verb"].endswith("ch") else "s")
        for match in _OCCASION.finditer(habit["where"]):
            is_day = match["object"].startswith(f"<{DATE}")
            word = "on" if is_day and match["word"] == "every" else match["word"]
            yield from self._fact(subject, f"{verb} {word}", match["object"])


_LONG_FORMS = {"'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would"}
_TAKES_IS = frozenset({"he", "she", "it", "that", "who", "there", "here", "what", "name"})


def _rewritten(sentence: Sentence) -> str:
    """The sentence in small letters, with a mark for each entity."""
    starts = {span.start: (number, span) for number, span in enumerate(sentence.spans)}
    parts: list[str] = []
    position = 0
    while position < len(sentence.tokens):
        if position in starts:
            number, span = starts[position]
            parts.append(f"<{span.found.kind}:{number}>")
            position = span.end
            continue
        lower = sentence.tokens[position].lower.replace("<", "").replace(">", "")
        is_is = lower == "'s" and bool(parts) and parts[-1] in _TAKES_IS
        parts.append("is" if is_is else _LONG_FORMS.get(lower, lower))
        position += 1
    return " ".join(filter(None, parts))
