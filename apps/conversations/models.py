"""Conversations, their messages, and the process that runs each reply.

A conversation is a tree of messages: editing a question or asking again makes a sibling, never overwrites. `head` is
the leaf of the branch being read; every message remembers the child last read below it. Ids order messages, clocks do
not, and along a branch they only grow.

Rules that the database itself keeps: one streaming reply a conversation, one message a `client_id`, five statuses.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from django.conf import settings
from django.db import connections, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import User
from apps.core.prepared import Prepared, Slot

DEFAULT_TITLE = "New Conversation"
TITLE_LENGTH = 60
# A process that has not reported for this long while it ran replies is gone.
BOOT_GONE_SECONDS = 5
BEAT_SECONDS = 1.0
# How long a temporary conversation outlives its last question.
TEMPORARY_FOR = timedelta(hours=1)


class ConversationQuerySet(models.QuerySet["Conversation"]):
    """Questions about many conversations."""

    def visible_to(self, user: User) -> Self:
        """Those of one person: the only door."""
        return self.filter(owner_id=user.pk)

    def opened_by(self, user: User, pk: int) -> Conversation | None:
        """The one of this id, if it is this person's."""
        return _OPENED.one(owner=user.pk, pk=pk)

    def locked(self, pk: int) -> Conversation | None:
        """The one of this id as it is now, with its owner; nobody else begins in it until the running transaction
        ends."""
        return _LOCKED.one(pk=pk)

    def kept(self) -> Self:
        """Not temporary: those that lists and searches show."""
        return self.filter(temporary=False)

    def left_behind(self, now: datetime) -> Self:
        """Temporary ones that nobody has written in for so long that nobody will."""
        quiet = self.filter(temporary=True, updated_at__lt=now - TEMPORARY_FOR)
        return quiet.exclude(messages__status=Message.Status.STREAMING)

    def active(self) -> Self:
        """Not archived."""
        return self.filter(archived__in=[False])  # SQLite finds no index for `NOT archived`

    def archived(self) -> Self:
        """Put away."""
        return self.filter(archived=True)

    def by_activity(self) -> Self:
        """Pinned first, then the newest activity."""
        return self.order_by("-pinned", "-updated_at", "-pk")

    def after(self, place: Place) -> Self:
        """What follows a place in `by_activity`."""
        older = Q(updated_at__lt=place.updated_at) | Q(updated_at=place.updated_at, pk__lt=place.pk)
        same = Q(pinned=place.pinned) & older
        return self.filter(same | Q(pinned=False) if place.pinned else same)


# What almost every request and every turn asks.
_PK = Slot("pk", models.BigIntegerField())
_OPENED = Prepared(lambda: Conversation.objects.filter(owner=Slot("owner", models.BigIntegerField()), pk=_PK))
_LOCKED = Prepared(lambda: Conversation.objects.filter(pk=_PK).select_related("owner").select_for_update(of=("self",)))


class Place(NamedTuple):
    """Where a row stands in `by_activity`, by what that orders by: it holds when the row itself moves on or goes.

    Written as text it is what pages and the API go on from.
    """

    pinned: bool
    updated_at: datetime
    pk: int

    def __str__(self) -> str:
        return f"{self.pinned:d}~{self.updated_at.isoformat()}~{self.pk}"

    @classmethod
    def of(cls, row: Conversation) -> Place:
        """Where this row stands."""
        return cls(row.pinned, row.updated_at, row.pk)

    @classmethod
    def read(cls, text: str) -> Place:
        """The place that was written as text; raises ValueError for anything else."""
        pinned, at, pk = text.split("~")
        try:
            place = cls(pinned == "1", datetime.fromisoformat(at).astimezone(UTC), int(pk))
        except OverflowError as error:
            raise ValueError(text) from error
        if str(place) != text or not 0 <= place.pk < 2**63:
            raise ValueError(text)
        return place


class Conversation(models.Model):
    """A person's talk with a model."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=200, default=DEFAULT_TITLE)
    pinned = models.BooleanField(default=False)
    archived = models.BooleanField(default=False)
    model = models.CharField(max_length=200, blank=True, default="")
    memory = models.BooleanField(default=True)
    temporary = models.BooleanField(default=False)
    head = models.ForeignKey("Message", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                F("owner"),
                F("archived"),
                F("pinned").desc(),
                F("updated_at").desc(),
                F("id").desc(),
                name="by_activity",
            )
        ]

    def __str__(self) -> str:
        # The admin's log keeps this text after the conversation is deleted, so it tells nothing of it.
        return f"Conversation {self.pk}"

    @property
    def is_remembered(self) -> bool:
        """Whether it goes into its owner's memory, and draws on it."""
        return self.memory and not self.temporary

    def change(self, fields: Mapping[str, object]) -> None:
        """Set some of title, pinned, archived, model and memory. Activity is not moved."""
        for name, value in fields.items():
            setattr(self, name, value)
        self.save(update_fields=list(fields))

    def ask(self, content: str, *, parent_id: int | None, client_id: str | None = None) -> Message:
        """A person's message below the given one."""
        return self.messages.create(
            role=Message.Role.USER, content=content, parent_id=parent_id, client_id=client_id or None
        )

    def advance(self, reply: Message, *, question: Message | None) -> None:
        """A turn began: the branch ends in its reply now. A first question that is new titles an untitled one."""
        self.head = reply
        self.updated_at = timezone.now()
        if question is not None and question.parent_id is None and self.title == DEFAULT_TITLE:
            self.title = title_from(question.content)
        changes = {"head": reply, "updated_at": self.updated_at, "title": self.title}
        Conversation.objects.filter(pk=self.pk).update(**changes)

    def show(self, message: Message) -> None:
        """Make the branch through this message, down to the leaf last read below it, the active one."""
        remember_path(message)
        self.head = message.leaf()
        self.save(update_fields=["head"])

    def branch(self, *, limit: int, before: int | None = None) -> tuple[list[Message], bool]:
        """The newest `limit` messages of the active branch (those above message `before`), oldest first, each with
        its `siblings`; and whether there are earlier ones."""
        rows = Message.objects.branch_to(self.head_id, limit=limit + 1, before=before)
        messages = rows[-limit:]
        attach_siblings(messages)
        return messages, len(rows) > limit


def title_from(question: str) -> str:
    """A title of at most 60 characters and `...`, cut between words where there is a place to."""
    text = " ".join(question.split())
    if len(text) <= TITLE_LENGTH:
        return text or DEFAULT_TITLE
    cut = text.rfind(" ", 0, TITLE_LENGTH + 1)
    return text[: cut if cut > 0 else TITLE_LENGTH] + "..."


class MessageQuerySet(models.QuerySet["Message"]):
    """Questions about many messages."""

    def visible_to(self, user: User) -> Self:
        """Those in one person's conversations: the only door."""
        return self.filter(conversation__owner_id=user.pk)

    def streaming(self) -> Self:
        """Replies that are being written."""
        return self.filter(status=Message.Status.STREAMING)

    def orphaned(self) -> Self:
        """Replies whose process is gone: nobody writes them any more."""
        return self.streaming().exclude(boot__in=Boot.objects.alive())

    def checkpoint(self, texts: Mapping[int, tuple[str, int]]) -> None:
        """Store the text so far, and the number of its last delta, of replies still being written, by id.

        Plain SQL: this runs for every reply two and a half times a second, and building it would cost more than it.
        """
        rows = [(content, seq, pk, Message.Status.STREAMING) for pk, (content, seq) in texts.items()]
        with connections[self.db].cursor() as cursor:
            cursor.executemany(_CHECKPOINT_SQL, rows)

    def ids_to(self, leaf_id: int | None) -> list[int]:
        """The ids from the leaf upwards, to the beginning."""
        with connections[self.db].cursor() as cursor:
            cursor.execute(_IDS_SQL, [leaf_id])
            return [pk for (pk,) in cursor.fetchall()]

    def branch_to(self, leaf_id: int | None, *, limit: int, before: int | None = None) -> list[Message]:
        """Up to `limit` messages from the leaf upwards (only those with an id below `before`), oldest first."""
        if leaf_id is None:
            return []
        rows = self.raw(_BRANCH_SQL, [leaf_id, before or 2**63 - 1, limit])
        return sorted(rows, key=lambda message: message.pk)


_CHECKPOINT_SQL = "UPDATE conversations_message SET content = %s, seq = %s WHERE id = %s AND status = %s"

# The walk carries ids alone, so that its cost does not depend on how much was written.
_WALK_SQL = """
    WITH RECURSIVE branch (id, parent_id) AS (
        SELECT id, parent_id FROM conversations_message WHERE id = %s
        UNION ALL
        SELECT up.id, up.parent_id FROM conversations_message up JOIN branch ON up.id = branch.parent_id
    )
"""
_IDS_SQL = f"{_WALK_SQL} SELECT id FROM branch"  # noqa: S608 -- both parts stand here
_BRANCH_SQL = f"""
    {_WALK_SQL}
    SELECT * FROM conversations_message
    WHERE id IN (SELECT id FROM branch WHERE id < %s ORDER BY id DESC LIMIT %s)
"""  # noqa: S608 -- as above


class Message(models.Model):
    """What a person or the model said, once."""

    class Role(models.TextChoices):
        """Who speaks."""

        USER = "user"
        ASSISTANT = "assistant"

    class Status(models.TextChoices):
        """How it stands: `failed` has no text, `interrupted` has some and no end."""

        STREAMING = "streaming"
        COMPLETE = "complete"
        STOPPED = "stopped"
        FAILED = "failed"
        INTERRUPTED = "interrupted"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    # The one last read below it; without a choice, the newest.
    last_child = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    role = models.CharField(max_length=9, choices=Role.choices)
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.COMPLETE)
    content = models.TextField(blank=True, default="")
    # The number of the last delta that `content` holds.
    seq = models.PositiveIntegerField(default=0)
    client_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 -- null is "not unique"
    model = models.CharField(max_length=200, blank=True, default="")
    usage = models.JSONField(null=True, blank=True)
    sources = models.JSONField(default=list, blank=True)
    degraded = models.JSONField(default=list, blank=True)
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_detail = models.TextField(blank=True, default="")
    time_to_first_token_ms = models.PositiveIntegerField(null=True, blank=True)
    generation_time_ms = models.PositiveIntegerField(null=True, blank=True)
    boot = models.ForeignKey("Boot", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MessageQuerySet.as_manager()

    # Ids of the messages with the same parent, in order, itself among them; see `attach_siblings`.
    siblings: list[int]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"], condition=Q(status="streaming"), name="one_streaming_reply_a_conversation"
            ),
            models.UniqueConstraint(fields=["conversation", "client_id"], name="one_message_a_client_id"),
            models.CheckConstraint(
                condition=Q(status__in=["streaming", "complete", "stopped", "failed", "interrupted"]),
                name="message_status_is_known",
            ),
            models.CheckConstraint(
                condition=Q(role="assistant") | Q(role="user", status="complete"), name="only_replies_stream"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.pk} ({self.status})"

    def begin_reply(self, *, model: str, boot: Boot, client_id: str | None = None) -> Message:
        """The empty reply to this question, to be written by the given process."""
        return Message.objects.create(
            conversation_id=self.conversation_id,
            parent=self,
            role=Message.Role.ASSISTANT,
            status=Message.Status.STREAMING,
            model=model,
            boot=boot,
            client_id=client_id,
        )

    def request_stop(self) -> bool:
        """Ask whichever process writes this reply to stop; False when nobody does."""
        return bool(Message.objects.streaming().filter(pk=self.pk).update(stop_requested_at=Now()))

    def finish(self, status: Status, **fields: Any) -> bool:
        """Leave `streaming` for good: a compare-and-set, False when it was left before (and then nothing changes)."""
        changes = {"status": status, **fields}
        if not Message.objects.streaming().filter(pk=self.pk).update(**changes):
            return False
        for name, value in changes.items():
            setattr(self, name, value)
        return True

    def interrupt(self, code: str, detail: str) -> bool:
        """End a reply whose writer is gone: `interrupted` with what was kept, `failed` when nothing came."""
        status = Message.Status.INTERRUPTED if self.content else Message.Status.FAILED
        return self.finish(status, error_code=code, error_detail=detail)

    def leaf(self) -> Message:
        """The end of the branch last read below this message."""
        below = self.conversation.messages.filter(pk__gte=self.pk).order_by("pk")
        rows = list(below.values_list("pk", "parent_id", "last_child_id"))
        last_read = {parent_id: pk for pk, parent_id, _ in rows}
        last_read.update({pk: child_id for pk, _, child_id in rows if child_id})
        leaf_id = self.pk
        while (child_id := last_read.get(leaf_id)) is not None:
            leaf_id = child_id
        return self if leaf_id == self.pk else self.conversation.messages.get(pk=leaf_id)


def remember_path(message: Message) -> None:
    """Every message above this one leads to it from now on."""
    above = Message.objects.filter(conversation_id=message.conversation_id, pk__lte=message.pk)
    links = {
        pk: (parent_id, child_id) for pk, parent_id, child_id in above.values_list("pk", "parent_id", "last_child")
    }
    below, parent_id = message.pk, message.parent_id
    while parent_id is not None:
        if links[parent_id][1] != below:
            Message.objects.filter(pk=parent_id).update(last_child=below)
        below, parent_id = parent_id, links[parent_id][0]


def attach_siblings(messages: Sequence[Message]) -> None:
    """Give each message its `siblings`, in one query."""
    if not messages:
        return
    conversation_id = messages[0].conversation_id
    parents = {message.parent_id for message in messages}
    among = Q(parent__in=parents - {None})
    if None in parents:
        among |= Q(parent=None)
    rows = Message.objects.filter(among, conversation_id=conversation_id).order_by("pk").values_list("parent_id", "pk")
    children: dict[int | None, list[int]] = {}
    for parent_id, pk in rows:
        children.setdefault(parent_id, []).append(pk)
    for message in messages:
        message.siblings = children[message.parent_id]


class BootQuerySet(models.QuerySet["Boot"]):
    """Questions about processes."""

    def alive(self) -> Self:
        """Those that have reported lately, by the database's clock."""
        return self.filter(beat_at__gt=Now() - timedelta(seconds=BOOT_GONE_SECONDS))


class Boot(models.Model):
    """One start of a serving process. It reports while it writes replies, so that others see when it is gone."""

    id = models.CharField(max_length=32, primary_key=True)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    beat_at = models.DateTimeField()

    objects = BootQuerySet.as_manager()

    def __str__(self) -> str:
        return self.id

    # When this process last reported, by its own clock.
    _reported_at = -BEAT_SECONDS

    def beat(self) -> None:
        """Report, at most once a second; the row is made at the first time."""
        now = time.monotonic()
        if now - self._reported_at >= BEAT_SECONDS:
            Boot.objects.update_or_create(pk=self.pk, defaults={"beat_at": Now()})
            transaction.on_commit(lambda: setattr(self, "_reported_at", now))
