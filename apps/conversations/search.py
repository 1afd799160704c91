"""Finding what was said: a person's titles and messages, by words and by meaning.

A search is text. Among its words may stand filters such as `from:me` or `before:2026-01-31`; whatever is no filter of
ours is a word, so any text is a search. Titles, words and meaning are three rankings, made one by their ranks, since
their scores do not compare. What is found is read once more through the one door to its owner's conversations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, datetime, time
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypedDict, cast

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from apps.accounts.models import User
from apps.conversations.engine.events import Role
from apps.conversations.engine.memories import KIND
from apps.conversations.models import DEFAULT_TITLE, Conversation, Message
from apps.core.fulltext import TextIndex
from apps.memory import recall

Match = Literal["words", "meaning", "title"]
Row = Conversation | Message

MESSAGES = TextIndex(
    name="message_text",
    table="conversations_message",
    column="content",
    owner="(SELECT owner_id FROM conversations_conversation WHERE id = {row}.conversation_id)",
    condition=f"{{row}}.status NOT IN ('{Message.Status.STREAMING}', '{Message.Status.FAILED}')",
    watched=("status",),
    needs=("conversations_conversation",),
)
TITLES = TextIndex(
    name="conversation_title",
    table="conversations_conversation",
    column="title",
    owner="{row}.owner_id",
    condition=f"{{row}}.title <> '{DEFAULT_TITLE}'",
)
# How many memories are asked for what comes close in meaning.
BY_MEANING = 50
# How many of the newest rows that hold the words are ranked. A filter may leave few of them, so it is given more.
RANKED, RANKED_IF_NARROWED = 200, 5000
# The best so many are looked at first; when that is not enough, ever more at once.
STEP = 100
# Of reciprocal rank fusion: how little the first ranks stand out. 60 is what its authors found to do well.
RANK_OFFSET = 60

_PART = re.compile(r'"[^"]*"?|\S+')
_ROLES = {"me": Message.Role.USER, "assistant": Message.Role.ASSISTANT}
_TRUTHS = {"": True, "true": True, "yes": True, "false": False, "no": False}


class ResultJSON(TypedDict):
    """Something that was found, as it goes over the wire; a title has neither a message nor a role."""

    conversation_id: int
    conversation_title: str
    message_id: int | None
    message_snippet: str
    role: Role | None
    created_at: str
    score: float
    match: Match


class FoundJSON(TypedDict):
    """What a search found, best first."""

    results: list[ResultJSON]


@dataclass(frozen=True, slots=True)
class Query:
    """Words, and what narrows where they are looked for. Days are those of the current time zone; `after` is the first
    day that counts, `before` the first that does not."""

    words: str
    in_title: bool = False
    role: Message.Role | None = None
    before: date | None = None
    after: date | None = None
    pinned: bool | None = None
    archived: bool | None = None

    @classmethod
    def read(cls, text: str) -> Query:
        """The search that this text is. Of two filters of a kind the last one holds."""
        words: list[str] = []
        filters: dict[str, Any] = {}
        for part in _PART.findall(text):
            if narrowed := _filter(part):
                filters |= narrowed
            else:
                words.append(part)
        return cls(" ".join(words), **filters)

    @property
    def is_narrowed(self) -> bool:
        """Whether it has a filter."""
        return self != Query(self.words)

    def conversations(self, user: User) -> QuerySet[Conversation]:
        """Where to look."""
        flags = {"pinned": self.pinned, "archived": self.archived}
        chosen = {name: flag for name, flag in flags.items() if flag is not None}
        return Conversation.objects.visible_to(user).kept().filter(**chosen)

    @property
    def is_for_titles(self) -> bool:
        """Whether titles count: nobody said one, so a search for somebody's words finds none."""
        return self.role is None

    @property
    def is_for_messages(self) -> bool:
        """Whether messages count."""
        return not self.in_title

    def titled(self, user: User) -> QuerySet[Conversation]:
        """The conversations whose title counts, if titles do."""
        return self.conversations(user).filter(**self._span())

    def messages(self, user: User) -> QuerySet[Message]:
        """The messages that count, if messages do. Written so that a database begins with the ids it is given, and not
        with all conversations."""
        within = self.conversations(user).filter(pk=OuterRef("conversation"))
        rows = Message.objects.filter(Exists(within), **self._span()).exclude(
            status__in=[Message.Status.STREAMING, Message.Status.FAILED]
        )
        return rows.filter(role=self.role) if self.role else rows

    def _span(self) -> Mapping[str, datetime]:
        ends = {"created_at__gte": self.after, "created_at__lt": self.before}
        return {lookup: _beginning_of(day) for lookup, day in ends.items() if day is not None}


def _filter(part: str) -> Mapping[str, Any]:
    """What this part of a search narrows; nothing when it is a word."""
    name, colon, value = part.lower().partition(":")
    match name, colon + value:
        case "in", ":title":
            return {"in_title": True}
        case "from", ":me" | ":assistant":
            return {"role": _ROLES[value]}
        case "is", ":pinned" | ":archived":
            return {value: True}
        case "pinned" | "archived", str() if colon and value in _TRUTHS:
            return {name: _TRUTHS[value]}
        case "before" | "after", str() if (day := _day(value)) is not None:
            return {name: day}
    return {}


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if MINYEAR < day.year < MAXYEAR else None  # in other time zones, the first and last have no year


def _beginning_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


class Hit(NamedTuple):
    """A row that was found: a message, or a conversation by its title."""

    is_title: bool
    pk: int


@dataclass(frozen=True, slots=True)
class Result:
    """Something that was found; without a message it is the title that was. The snippet's only tag is `<mark>`."""

    conversation: Conversation
    message: Message | None
    snippet: SafeString
    score: float
    match: Match

    @property
    def created_at(self) -> datetime:
        """When it was said, or the conversation begun."""
        return (self.message or self.conversation).created_at


def search(user: User, query: Query, *, limit: int) -> list[Result]:
    """What fits the words best, at most `limit`, best first; nothing for a search without words."""
    if not query.words:
        return []
    found = _search(user, query, limit, looks_first=query.is_narrowed)
    if found is None:
        found = _search(user, query, limit, looks_first=True)
    return found or []


def _search(user: User, query: Query, limit: int, *, looks_first: bool) -> list[Result] | None:
    """Looking first which of the hits count costs a query each; where that is not done, and some of the best turn out
    not to count, it is None."""
    rows = _Rows(user, query, looks_first)
    by_meaning = recall.begin_search_meaning(user.pk, query.words, limit=BY_MEANING) if query.is_for_messages else list
    titles = rows.first(_by_words(TITLES, rows, limit), "titled", limit) if query.is_for_titles else []
    words = rows.first(_by_words(MESSAGES, rows, limit), "said", limit) if query.is_for_messages else []
    excerpts = _excerpts(by_meaning())
    meaning = rows.first(list(excerpts), "said", limit)
    rankings = [[Hit(True, pk) for pk in titles], *([Hit(False, pk) for pk in ranking] for ranking in (words, meaning))]
    best = fused(rankings)[:limit]
    read = rows.read([hit for hit, _ in best])
    if len(read) < len(best) and not looks_first:
        return None
    by_meaning_alone = {pk: excerpts[pk] for pk in set(meaning).difference(words)}
    return _results(query, [(read[hit], score) for hit, score in best if hit in read], by_meaning_alone)


def _by_words(index: TextIndex, rows: _Rows, limit: int) -> list[int]:
    among, wanted = (RANKED_IF_NARROWED, RANKED_IF_NARROWED) if rows.looks_first else (RANKED, limit)
    hits = index.search(rows.user.pk, rows.query.words, wanted, fewest=limit, among=among)
    return [hit.pk for hit in hits]


def _excerpts(memories: Sequence[recall.Memory]) -> dict[int, str]:
    """By message, in order, the part of it that comes close."""
    places = ((memory.source.partition(":"), memory.excerpt) for memory in memories)
    return {int(pk): excerpt for (kind, _, pk), excerpt in places if kind == KIND}


@dataclass(frozen=True)
class _Rows:
    """The rows that count."""

    user: User
    query: Query
    looks_first: bool

    @cached_property
    def titled(self) -> QuerySet[Conversation]:
        """Conversations that may be found by their title."""
        return self.query.titled(self.user)

    @cached_property
    def said(self) -> QuerySet[Message]:
        """Messages that may be found."""
        return self.query.messages(self.user)

    def first(self, ids: Sequence[int], among: Literal["titled", "said"], limit: int) -> list[int]:
        """The first `limit` of the ids that are among the rows, in their order."""
        if not self.looks_first:
            return list(ids[:limit])
        rows: QuerySet[Any] = getattr(self, among)
        kept: list[int] = []
        start, step = 0, STEP
        while start < len(ids) and len(kept) < limit:
            looked_at = ids[start : start + step]
            there = set(rows.filter(pk__in=looked_at).values_list("pk", flat=True))
            kept += [pk for pk in looked_at if pk in there]
            start, step = start + step, step * 4
        return kept[:limit]

    def read(self, hits: Sequence[Hit]) -> dict[Hit, Row]:
        """The rows of the hits, those that are still there."""
        titles, messages = [hit.pk for hit in hits if hit.is_title], [hit.pk for hit in hits if not hit.is_title]
        found: dict[Hit, Row] = {}
        if titles:
            found |= {Hit(True, row.pk): row for row in self.titled.filter(pk__in=titles)}
        if messages:
            said = self.said.filter(pk__in=messages).select_related("conversation")
            found |= {Hit(False, row.pk): row for row in said}
        return found


def fused(rankings: Sequence[Sequence[Hit]]) -> list[tuple[Hit, float]]:
    """One ranking of several, by reciprocal rank fusion; 1 is what leads all of them. Among equals, the earlier
    ranking's hit comes first."""
    scores: dict[Hit, float] = {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, start=1):
            scores[hit] = scores.get(hit, 0.0) + (RANK_OFFSET + 1) / (RANK_OFFSET + rank) / len(rankings)
    return sorted(scores.items(), key=lambda item: -item[1])


def _results(query: Query, found: Sequence[tuple[Row, float]], by_meaning_alone: Mapping[int, str]) -> list[Result]:
    texts = [
        row.title if isinstance(row, Conversation) else by_meaning_alone.get(row.pk, row.content) for row, _ in found
    ]
    snippets = MESSAGES.snippets(query.words, texts)
    return [
        _result(row, score, snippet, is_word=row.pk not in by_meaning_alone or "<mark>" in snippet)
        for (row, score), snippet in zip(found, snippets, strict=True)
    ]


def _result(row: Row, score: float, snippet: str, *, is_word: bool) -> Result:
    marked = mark_safe(snippet)  # noqa: S308 -- the index promises that it is safe
    if isinstance(row, Conversation):
        return Result(row, None, marked, score, "title")
    return Result(row.conversation, row, marked, score, "words" if is_word else "meaning")


def result_json(result: Result) -> ResultJSON:
    """The result as it goes over the wire."""
    return {
        "conversation_id": result.conversation.pk,
        "conversation_title": result.conversation.title,
        "message_id": result.message.pk if result.message else None,
        "message_snippet": str(result.snippet),
        "role": cast("Role", result.message.role) if result.message else None,
        "created_at": result.created_at.isoformat(),
        "score": round(result.score, 4),
        "match": result.match,
    }
