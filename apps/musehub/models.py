"""Music repos, the recording sessions kept in them, who may write there, and what happened.

A session is live exactly as long as it has no end; the database holds that, and that an id exists once. Times are UTC
and kept as told: an end before the beginning is somebody's wrong clock, which makes a session of no length that says
so (`times_conflict`), not an error. What statistics add up (`duration`, `commit_count`) and group by (`day`, `line_up`)
is stored beside what it is computed from, by the methods that write both.

A username stands in ids, so a session keeps its author's when the account is gone.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple, Self, TypedDict

from django.conf import settings
from django.db import connections, models
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.text import slugify

from apps.accounts.models import User, fingerprint
from apps.core.prepared import Prepared, PreparedValues, Slot
from apps.musehub import identity, members

NAME_LENGTH = 100
LOCATION_LENGTH = 500
NOTES_LENGTH = 1_000_000
CLIENT_ID_LENGTH = 64
NO_TIME = timedelta()


class Statistics(TypedDict):
    """What a repo adds up to; `seconds` of sessions that are over."""

    sessions: int
    live: int
    seconds: float
    commits: int
    people: int


class RepoQuerySet(models.QuerySet["Repo"]):
    """Questions about many repos."""

    def visible_to(self, user: User) -> Self:
        """One's own, and those one collaborates on."""
        return self.filter(_is_writer(user))

    def public(self) -> Self:
        """Everyone's to read."""
        return self.filter(visibility=Repo.Visibility.PUBLIC)

    def readable_by(self, user: User | None) -> Self:
        """Those that somebody may read; None is somebody who is not signed in."""
        return self.public() if user is None else self.filter(Q(visibility=Repo.Visibility.PUBLIC) | _is_writer(user))

    def at(self, owner: str, slug: str) -> Self:
        """The one that has this address, if it is among them."""
        return self.filter(owner__username=owner, slug=slug)

    def opened_by(self, user: User | None, repo_id: str) -> Repo | None:
        """The one of this id, with its owner, if the user may read it: the door to a repo and to all that is in it."""
        return _readable(_REPO.one(repo_id=repo_id), user)

    def opened_at(self, user: User | None, owner: str, slug: str) -> Repo | None:
        """The same by its address."""
        return _readable(_REPO_AT.one(owner=owner, slug=slug), user)

    def locked(self, repo: Repo) -> Repo | None:
        """This repo as it is now, changed by nobody else until the running transaction ends; None if it is gone."""
        found = _LOCKED_REPO.one(pk=repo.pk)
        if found is not None:
            found.owner = repo.owner
        return found

    def newest_first(self) -> Self:
        """By when they were made."""
        return self.order_by("-pk")


def _is_writer(user: User) -> Q:
    return Q(owner=user.pk) | Q(pk__in=Collaborator.objects.filter(user=user.pk).values("repo"))


def _readable(repo: Repo | None, user: User | None) -> Repo | None:
    return repo if repo is not None and repo.may_read(user) else None


class Repo(models.Model):
    """A body of music, owned by one person."""

    class Visibility(models.TextChoices):
        """Who may read it: everybody, or only those who may write."""

        PUBLIC = "public"
        PRIVATE = "private"

    repo_id = models.CharField("id", max_length=identity.ID_LENGTH, unique=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="repos")
    name = models.CharField(max_length=NAME_LENGTH)
    slug = models.SlugField(max_length=NAME_LENGTH, editable=False)
    visibility = models.CharField(max_length=7, choices=Visibility.choices, default=Visibility.PRIVATE)
    description = models.TextField(blank=True, default="")
    tags = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    collaborators = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Collaborator", related_name="repos_collaborated_on"
    )

    objects = RepoQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "slug"], name="one_repo_a_slug"),
            models.CheckConstraint(condition=Q(visibility__in=["public", "private"]), name="visibility_is_known"),
        ]

    def __str__(self) -> str:
        # The admin's log keeps this text after the repo is deleted, so it tells nothing of it.
        return f"Repo {self.pk}"

    @classmethod
    def draft(cls, owner: User, *, name: str, **fields: Any) -> Repo:
        """A new one with its slug and id, not stored yet."""
        slug, now = slug_from(name), timezone.now()
        identifier = identity.repo_id(identity.identity_id(owner.username), slug, identity.DOMAIN, now)
        return cls(repo_id=identifier, owner=owner, name=name, slug=slug, created_at=now, updated_at=now, **fields)

    @property
    def is_public(self) -> bool:
        """Whether everybody may read it."""
        return self.visibility == self.Visibility.PUBLIC

    def may_write(self, user: User | None) -> bool:
        """Whether this person may keep sessions here: its owner and the collaborators."""
        if user is None:
            return False
        return user.pk == self.owner_id or _MEMBERSHIP.one(repo=self.pk, user=user.pk) is not None

    def may_read(self, user: User | None) -> bool:
        """Whether this person, or nobody signed in, may see what is here."""
        return self.is_public or self.may_write(user)

    def change(self, fields: Mapping[str, object]) -> None:
        """Set some of name, visibility, description and tags. The slug and the id stay."""
        for name, value in fields.items():
            setattr(self, name, value)
        self.updated_at = timezone.now()
        self.save(update_fields=[*fields, "updated_at"])

    def statistics(self) -> Statistics:
        """What its sessions add up to: two queries, however many there are."""
        sums = _SUMS.all(repo=self.pk)
        _, sessions, live, time, commits = sums[0] if sums else (self.pk, 0, 0, NO_TIME, 0)
        return {
            "sessions": sessions,
            "live": live,
            "seconds": time.total_seconds(),
            "commits": commits,
            "people": self._people(),
        }

    def _people(self) -> int:
        """How many different names stand among the participants."""
        connection = connections[self._state.db or "default"]
        with connection.cursor() as cursor:
            cursor.execute(_PEOPLE_SQL.format(members=members.table("session.participants", connection)), [self.pk])
            return int(cursor.fetchone()[0])

    def hours_by_day(self, since: date, until: date) -> dict[date, float]:
        """Recorded hours of each day, both ends included, on which a session that is over began. Days are UTC's."""
        days = _TIME_BY_DAY.all(repo=self.pk, since=since, until=until)
        return {day: time.total_seconds() / 3600 for day, time in days if time}


_OF_REPO = Slot("repo", models.BigIntegerField())
_SUMS = PreparedValues(
    lambda: (
        RecordingSession.objects.filter(repo=_OF_REPO)
        .values_list("repo")
        .annotate(
            sessions=Count("pk"),
            live=Count("pk", filter=Q(is_active=True)),
            time=Coalesce(Sum("duration"), NO_TIME),
            commits=Coalesce(Sum("commit_count"), 0),
        )
        .order_by()
    )
)
_TIME_BY_DAY = PreparedValues(
    lambda: (
        RecordingSession.objects.filter(
            repo=_OF_REPO, day__gte=Slot("since", models.DateField()), day__lte=Slot("until", models.DateField())
        )
        .values_list("day")
        .annotate(time=Sum("duration"))
        .order_by("day")
    )
)
# The same people play together again and again: each line-up is taken apart once.
_PEOPLE_SQL = """
    SELECT COUNT(DISTINCT member.value)
    FROM musehub_recordingsession session, {members}
    WHERE session.id IN (SELECT MIN(id) FROM musehub_recordingsession WHERE repo_id = %s GROUP BY line_up)
"""


# What almost every request asks.
_REPO = Prepared(lambda: Repo.objects.filter(repo_id=Slot("repo_id", models.CharField())).select_related("owner"))
_REPO_AT = Prepared(
    lambda: Repo.objects.filter(
        owner__username=Slot("owner", models.CharField()), slug=Slot("slug", models.CharField())
    ).select_related("owner")
)
_LOCKED_REPO = Prepared(lambda: Repo.objects.filter(pk=Slot("pk", models.BigIntegerField())).select_for_update())
_MEMBERSHIP = Prepared(lambda: Collaborator.objects.filter(repo=_OF_REPO, user=Slot("user", models.BigIntegerField())))


def slug_from(name: str) -> str:
    """How a repo of this name is called in addresses; by its digest where nothing of it is left in ASCII."""
    return slugify(name)[:NAME_LENGTH].strip("-_") or f"repo-{identity.identity_id(name)[7:15]}"


class Collaborator(models.Model):
    """Somebody who may keep sessions in another's repo."""

    repo = models.ForeignKey(Repo, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repo", "user"], name="one_membership")]

    def __str__(self) -> str:
        return f"Collaborator {self.pk}"


# Asked as `is_active`, or `NOT is_active`, a boolean column does not let SQLite use an index; `IN (1)` does.
_TRUE, _FALSE = [True], [False]


class RecordingSessionQuerySet(models.QuerySet["RecordingSession"]):
    """Questions about many sessions; whose they are is asked of their repo."""

    def live(self) -> Self:
        """Still running."""
        return self.filter(is_active__in=_TRUE)

    def ended(self) -> Self:
        """Over."""
        return self.filter(is_active__in=_FALSE)

    def in_order(self) -> Self:
        """Live ones first, then the newest."""
        return self.order_by("-is_active", "-started_at", "-pk")

    def after(self, place: Place) -> Self:
        """What follows a place in `in_order`."""
        older = Q(started_at__lt=place.started_at) | Q(started_at=place.started_at, pk__lt=place.pk)
        if place.is_active:
            return self.filter(Q(is_active__in=_FALSE) | older)
        return self.ended().filter(older)

    def with_participant(self, name: str) -> Self:
        """In which somebody of exactly this name took part."""
        return self.filter(participants__has_member=name)

    def at(self, location: str) -> Self:
        """Recorded at this place, in whatever case it is written."""
        return self.filter(location__iexact=location)

    def search(self, text: str) -> Self:
        """In whose intent, notes, place or participants this text stands."""
        return self.filter(
            Q(intent__icontains=text)
            | Q(location__icontains=text)
            | Q(notes__icontains=text)
            | Q(participants__member_contains=text)
        )

    def between(self, since: datetime | None = None, until: datetime | None = None) -> Self:
        """Begun at `since` or later, and before `until`."""
        begun = self if since is None else self.filter(started_at__gte=since)
        return begun if until is None else begun.filter(started_at__lt=until)

    def narrowed(
        self,
        *,
        live: str = "",
        participant: str = "",
        location: str = "",
        q: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Self:
        """Those that pass every filter that is given; `live` is `true`, `false` or empty."""
        rows = self.between(since, until)
        if live:
            rows = rows.live() if live == "true" else rows.ended()
        if participant:
            rows = rows.with_participant(participant)
        if location:
            rows = rows.at(location)
        return rows.search(q) if q else rows

    def in_repo(self, repo: Repo, session_id: str) -> RecordingSession | None:
        """The one of this whole id, if it is in this repo."""
        found = _SESSION.one(session_id=session_id, repo=repo.pk) if identity.is_id(session_id) else None
        if found is not None:
            found.repo = repo
        return found

    def locked(self, session: RecordingSession) -> RecordingSession | None:
        """This session as it is now, changed by nobody else until the running transaction ends; None if it is gone."""
        found = _LOCKED_SESSION.one(pk=session.pk)
        if found is not None:
            found.repo = session.repo
        return found

    def quiet_since(self, moment: datetime) -> Self:
        """Live ones in which nothing has happened since then."""
        return self.live().filter(last_activity_at__lt=moment)


_LOCKED_SESSION = Prepared(
    lambda: RecordingSession.objects.filter(pk=Slot("pk", models.BigIntegerField())).select_for_update()
)
_SESSION = Prepared(
    lambda: RecordingSession.objects.filter(session_id=Slot("session_id", models.CharField()), repo=_OF_REPO)
)


class Place(NamedTuple):
    """Where a session stands in `in_order`, by what that orders by: it holds when the row itself goes.

    Written as text, of characters that need no escaping in an address, it is what pages and the API go on from.
    """

    is_active: bool
    started_at: datetime
    pk: int

    def __str__(self) -> str:
        microseconds = (self.started_at - _EPOCH) // timedelta(microseconds=1)
        return f"{self.is_active:d}.{microseconds}.{self.pk}"

    @classmethod
    def of(cls, row: RecordingSession) -> Place:
        """Where this row stands."""
        return cls(row.is_active, row.started_at, row.pk)

    @classmethod
    def read(cls, text: str) -> Place:
        """The place that was written as text; raises ValueError for anything else."""
        is_active, microseconds, pk = text.split(".")
        try:
            place = cls(is_active == "1", _EPOCH + timedelta(microseconds=int(microseconds)), int(pk))
        except OverflowError as error:
            raise ValueError(text) from error
        if str(place) != text or not 0 <= place.pk < 2**63:
            raise ValueError(text)
        return place


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecordingSession(models.Model):
    """A time of recording, live or over."""

    session_id = models.CharField("id", max_length=identity.ID_LENGTH, unique=True, editable=False)
    repo = models.ForeignKey(Repo, on_delete=models.CASCADE, related_name="sessions")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="recording_sessions"
    )
    author_name = models.CharField("author's username", max_length=39, editable=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField("live", default=True)
    duration = models.DurationField(null=True, blank=True)
    commit_count = models.PositiveIntegerField("commits", default=0)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_activity_at = models.DateTimeField(default=timezone.now)
    participants = models.JSONField(default=list, blank=True)
    location = models.CharField(max_length=LOCATION_LENGTH, blank=True, default="")
    intent = models.TextField(blank=True, default="")
    notes = models.TextField(blank=True, default="")
    commits = models.JSONField(default=list, blank=True)
    # What statistics group by: the start's day in UTC, and a digest of the participants.
    day = models.DateField(editable=False)
    line_up = models.CharField(max_length=16, editable=False)

    objects = RecordingSessionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(is_active=True, ended_at=None, duration=None)
                | Q(is_active=False, ended_at__isnull=False, duration__gte=NO_TIME),
                name="live_exactly_without_an_end",
            )
        ]
        indexes = [
            models.Index(
                F("repo"), F("is_active").desc(), F("started_at").desc(), F("id").desc(), name="sessions_in_order"
            ),
            # All that statistics and the heatmap add up, so that neither reads notes.
            models.Index(fields=["repo", "day", "duration", "commit_count", "is_active"], name="sessions_by_day"),
            models.Index(fields=["repo", "line_up"], name="sessions_by_line_up"),
        ]

    def __str__(self) -> str:
        return f"Recording session {self.pk}"

    @classmethod
    def draft(
        cls,
        repo: Repo,
        author: User,
        started_at: datetime,
        *,
        ended_at: datetime | None = None,
        commits: Sequence[str] = (),
        **fields: Any,
    ) -> RecordingSession:
        """A new one with its id, not stored yet; over when it is given an end."""
        session = cls(repo=repo, author=author, author_name=author.username, commits=list(commits), **fields)
        session.commit_count = len(commits)
        session.line_up = members.digest(session.participants)
        session.begin_at(started_at)
        if ended_at is not None:
            session.end_at(ended_at)
        return session

    def begin_at(self, moment: datetime) -> None:
        """Of a draft: when it began, which is part of its id."""
        self.started_at = moment
        self.day = moment.astimezone(UTC).date()
        self.session_id = identity.session_id(self.repo.repo_id, identity.identity_id(self.author_name), moment)

    def end_at(self, moment: datetime) -> None:
        """Of a draft: when it was over."""
        self.ended_at = moment
        self.is_active = False
        self.duration = max(moment - self.started_at, NO_TIME)

    @property
    def duration_seconds(self) -> float | None:
        """How long it took; None while it is live, 0 where its times conflict."""
        return None if self.duration is None else self.duration.total_seconds()

    @property
    def times_conflict(self) -> bool:
        """Whether it ends before it begins."""
        return self.ended_at is not None and self.ended_at < self.started_at

    def stop(self, moment: datetime) -> bool:
        """End it; False when it was over before (and then nothing changes). The row must be locked."""
        if not self.is_active:
            return False
        self.end_at(moment)
        self._store("ended_at", "is_active", "duration")
        return True

    def change(self, fields: Mapping[str, Any]) -> list[str]:
        """Set some of notes, commits, participants, intent, location and, once it is over, ended_at.

        Returns the names of those that differed; where none did nothing is stored. The row must be locked.
        """
        changed = [name for name, value in fields.items() if getattr(self, name) != value]
        for name in changed:
            setattr(self, name, fields[name])
        derived = []
        if "commits" in changed:
            self.commit_count = len(self.commits)
            derived.append("commit_count")
        if "participants" in changed:
            self.line_up = members.digest(self.participants)
            derived.append("line_up")
        if "ended_at" in changed:
            self.end_at(fields["ended_at"])
            derived += ["is_active", "duration"]
        if changed:
            self._store(*changed, *derived)
        return changed

    def append_note(self, text: str, *, by: str, at: datetime) -> None:
        """Add a dated note below the others. The row must be locked."""
        self.notes = with_note(self.notes, text, by=by, at=at)
        self._store("notes")

    def _store(self, *fields: str) -> None:
        self.version += 1
        self.last_activity_at = timezone.now()
        self.save(update_fields=[*fields, "version", "last_activity_at"])


def with_note(notes: str, text: str, *, by: str, at: datetime) -> str:
    """The notes (Markdown) with another below them, under its date and whose it is."""
    head = f"**{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC · {by}**"
    above = f"{notes.rstrip()}\n\n" if notes.strip() else ""
    return f"{above}{head}\n\n{text.strip()}\n"


class ActivityQuerySet(models.QuerySet["Activity"]):
    """Questions about much that happened."""

    def newest_first(self) -> Self:
        """As the database ordered it, each with its session, whose long texts are left where they are."""
        long_texts = ("participants", "location", "intent", "notes", "commits")
        rows = self.select_related("session").defer(*(f"session__{name}" for name in long_texts))
        return rows.order_by("-pk")

    def before(self, pk: int) -> Self:
        """What happened earlier."""
        return self.filter(pk__lt=pk)


class Activity(models.Model):
    """What somebody did in a repo, stored together with what they did."""

    class Kind(models.TextChoices):
        """What was done."""

        REPO_CREATED = "repo.created"
        REPO_UPDATED = "repo.updated"
        COLLABORATOR_ADDED = "collaborator.added"
        COLLABORATOR_REMOVED = "collaborator.removed"
        SESSION_STARTED = "session.started"
        SESSION_STOPPED = "session.stopped"
        SESSION_UPDATED = "session.updated"
        SESSION_NOTED = "session.noted"

    repo = models.ForeignKey(Repo, on_delete=models.CASCADE, related_name="activity")
    session = models.ForeignKey(RecordingSession, null=True, on_delete=models.CASCADE, related_name="activity")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField("actor's username", max_length=39)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    at = models.DateTimeField(default=timezone.now)
    # Names of what was changed, never what it was changed to: that is read where it stands, by who may read it there.
    detail = models.JSONField(default=dict, blank=True)
    # The sender's own name for a note, by which sending it again is found out.
    client_id = models.CharField(max_length=CLIENT_ID_LENGTH, null=True, blank=True)  # noqa: DJ001 -- null is "not unique"

    objects = ActivityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "activity"
        constraints = [models.UniqueConstraint(fields=["session", "actor", "client_id"], name="one_note_a_client_id")]
        indexes = [models.Index(F("repo"), F("id").desc(), name="activity_newest_first")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class FeedAddressQuerySet(models.QuerySet["FeedAddress"]):
    """Addresses under which calendars fetch a repo's sessions."""

    def visible_to(self, user: User) -> Self:
        """One's own."""
        return self.filter(user=user.pk)

    def issue(self, user: User, repo: Repo) -> tuple[FeedAddress, str]:
        """A new address in place of the one there was, and its secret, which nobody can show again."""
        secret = secrets.token_urlsafe(32)
        row, _ = self.update_or_create(
            user=user, repo=repo, defaults={"digest": fingerprint(secret), "created_at": timezone.now()}
        )
        return row, secret

    def with_secret(self, secret: str) -> FeedAddress | None:
        """The one that this secret opens, as long as its owner is active and may read the repo."""
        rows = self.filter(digest=fingerprint(secret), user__is_active=True).select_related("user", "repo__owner")
        row = rows.first()
        return row if row is not None and row.repo.may_read(row.user) else None


class FeedAddress(models.Model):
    """A person's private address of a repo's calendar. It is stored as a hash, and revoked by deleting it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="feed_addresses")
    repo = models.ForeignKey(Repo, on_delete=models.CASCADE, related_name="feed_addresses")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FeedAddressQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "feed addresses"
        constraints = [models.UniqueConstraint(fields=["user", "repo"], name="one_feed_a_person")]

    def __str__(self) -> str:
        return f"Feed address {self.pk}"
