"""What is remembered, from where; the entities it speaks of, and what was said about them.

The database is the truth. Vectors in Chroma are derived from it, by rows that say what is yet to be done: a
recollection whose `embedder` is not the current one waits for its vector, and a trigger (see `triggers.py`) leaves a
`ForgottenVector` behind for every recollection that goes, by whatever door. Mentions and relations hang on the
recollection they were read from and go with it; an entity goes with its last mention.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import connections, models, transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import User
from apps.core.prepared import Prepared, Slot
from apps.memory.names import NAME_MAX, PREDICATE_MAX, fold_name, is_storable

# What failed is tried again after 1, 2, 4 … seconds, at most this many: memory is back within a minute of its cause.
MAX_BACKOFF_SECONDS = 30
MAX_VOICES = 200


class MemorySetting(models.Model):
    """Whether a person wants to be remembered at all; without a row they do."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memory_setting")
    enabled = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"{self.owner_id}: {'on' if self.enabled else 'off'}"

    @classmethod
    def is_enabled_for(cls, user_id: int) -> bool:
        """Whether this person is remembered."""
        return _SWITCHED_OFF.one(owner=user_id) is None

    @classmethod
    def switch(cls, user_id: int, *, enabled: bool) -> None:
        """Remember and recall from now on, or neither. What is remembered already stays."""
        cls.objects.update_or_create(owner_id=user_id, defaults={"enabled": enabled})


_SWITCHED_OFF = Prepared(
    lambda: MemorySetting.objects.filter(owner=Slot("owner", models.BigIntegerField()), enabled=False)
)


class RecollectionQuerySet(models.QuerySet["Recollection"]):
    """Questions about many recollections."""

    def visible_to(self, user: User) -> Self:
        """Those of one person: the only door."""
        return self.filter(owner_id=user.pk)

    def newest_first(self) -> Self:
        """The order of the memory page."""
        return self.order_by("-pk")

    def waiting(self) -> Self:
        """Those without a vector."""
        return self.filter(embedder="")

    def embedded_by_another(self, embedder: str) -> Self:
        """Those whose vector was made by another embedder than this: it cannot be compared with this one's."""
        return self.filter(Q(embedder__lt=embedder) | Q(embedder__gt=embedder)).exclude(embedder="")

    def due(self, now: datetime) -> Self:
        """Those whose next try has come."""
        return self.filter(due_at__lte=now)

    def voices(self, user_id: int) -> list[str]:
        """Who speaks in this person's memory, at most `MAX_VOICES`; costs the same however much was said."""
        with connections[self.db].cursor() as cursor:
            cursor.execute(_VOICES_SQL, [user_id, user_id, MAX_VOICES])
            return [voice for (voice,) in cursor.fetchall()]

    def embedded(self, vectors: Mapping[int, bytes], embedder: str) -> None:
        """These are the vectors that the embedder made, by id; what was forgotten meanwhile stays so. In the order in
        which whoever forgets them takes them."""
        rows = [(vector, embedder, pk) for pk, vector in sorted(vectors.items())]
        with transaction.atomic(using=self.db), connections[self.db].cursor() as cursor:
            cursor.executemany(_EMBEDDED_SQL, rows)

    def unembed(self) -> int:
        """Make their vectors anew; how many they are. Within a transaction."""
        embedded = self.exclude(embedder="")
        list(embedded.order_by("pk").select_for_update(no_key=True).values_list("pk"))
        return embedded.update(embedder="", vector=b"", due_at=timezone.now())

    def newest_unread(self, extractor: str, now: datetime, limit: int) -> list[Recollection]:
        """Due ones whose entities nobody has read, the newest first; then those that another extractor read. Each kind
        by itself, so that an index has it in order."""
        due = self.due(now).order_by("-extractor", "-due_at")
        found: list[Recollection] = []
        for kind in (Q(extractor=""), Q(extractor__gt="", extractor__lt=extractor), Q(extractor__gt=extractor)):
            if len(found) < limit:
                found += due.filter(kind)[: limit - len(found)]
        return found

    def read_by(self, extractor: str) -> int:
        """Their entities and facts are stored; how many they are."""
        return self.update(extractor=extractor)

    def failed(self, ids: Collection[int], now: datetime) -> None:
        """Their vectors could not be made or stored: later, each time twice as much later."""
        for recollection in self.filter(pk__in=ids).only("attempts"):
            wait = timedelta(seconds=min(2**recollection.attempts, MAX_BACKOFF_SECONDS))
            attempts = min(recollection.attempts + 1, 30)
            self.filter(pk=recollection.pk).update(attempts=attempts, due_at=now + wait)


_EMBEDDED_SQL = "UPDATE memory_recollection SET vector = %s, embedder = %s, attempts = 0 WHERE id = %s"
# From one voice to the next by the index, instead of over all rows.
_VOICES_SQL = """
    WITH RECURSIVE voices (voice) AS (
        SELECT min(voice) FROM memory_recollection WHERE owner_id = %s
        UNION ALL
        SELECT (SELECT min(voice) FROM memory_recollection WHERE owner_id = %s AND voice > voices.voice)
        FROM voices WHERE voices.voice IS NOT NULL
    )
    SELECT voice FROM voices WHERE voice <> '' LIMIT %s
"""


class Recollection(models.Model):
    """Something that was said once, remembered for its owner."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recollections")
    # Where it comes from, such as `message:41`, and what that is a part of, such as `conversation:7`.
    source = models.CharField(max_length=64)
    thread = models.CharField(max_length=64)
    # Counts within the thread: what was said just before and after helps to find it.
    position = models.PositiveIntegerField()
    speaker = models.CharField(max_length=150, blank=True, default="")
    text = models.TextField()
    # What it is found by: see `words.analyse`.
    voice = models.CharField(max_length=150, blank=True, default="")
    stems = models.TextField(blank=True, default="")
    asks = models.BooleanField(default=False)
    # Little-endian float16 of length 1, made by `embedder`: the ranking compares it, Chroma has it to be searched.
    vector = models.BinaryField(default=b"")
    said_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # The embedder that made its vector; empty until there is one.
    embedder = models.CharField(max_length=200, blank=True, default="")
    # The extractor that read its entities; empty until one did.
    extractor = models.CharField(max_length=200, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)

    objects = RecollectionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "source"], name="one_recollection_a_source")]
        indexes = [
            models.Index(fields=["thread", "position"], name="neighbours"),
            models.Index(fields=["owner", "-id"], name="newest_recollections"),
            models.Index(fields=["owner", "voice"], name="voices"),
            models.Index(fields=["owner", "embedder"], name="embedded_of_owner"),
            models.Index(fields=["embedder", "due_at"], name="vectors_to_make"),
            models.Index(fields=["extractor", "due_at"], name="entities_to_read"),
        ]

    def __str__(self) -> str:
        # The admin's log keeps this text after the recollection is forgotten, so it tells nothing of it.
        return f"Recollection {self.pk}"


class ForgottenVector(models.Model):
    """A vector that is yet to be deleted: its recollection is gone. Written by a trigger."""

    recollection_id = models.BigIntegerField()
    owner_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"Vector {self.recollection_id}"


class Rebuild(models.Model):
    """Somebody asked for all vectors to be made anew."""

    asked_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"Rebuild {self.pk}"


class EntityQuerySet(models.QuerySet["Entity"]):
    """Questions about many entities."""

    def visible_to(self, user: User) -> Self:
        """Those of one person: the only door."""
        return self.filter(owner_id=user.pk)

    def called(self, user_id: int, names: Iterable[str]) -> dict[str, Entity]:
        """By folded name, the person's entities that have it, be it their own or one they were called by."""
        keys = {fold_name(name) for name in names if is_storable(name)}
        own = {entity.key: entity for entity in self.filter(owner_id=user_id, key__in=keys)}
        mentions = Mention.objects.filter(owner_id=user_id, key__in=keys - own.keys())
        other_names = dict(mentions.values_list("key", "entity_id").distinct())
        entities = self.in_bulk(set(other_names.values()))
        return own | {key: entities[pk] for key, pk in other_names.items() if pk in entities}

    def ids_called(self, user_id: int, names: Iterable[str]) -> set[int]:
        """The ids of the same."""
        keys = [*{fold_name(name) for name in names if is_storable(name)}]
        if not keys:
            return set()
        with connections[self.db].cursor() as cursor:
            cursor.execute(_CALLED_SQL.format(keys=", ".join(["%s"] * len(keys))), [user_id, *keys, user_id, *keys])
            return {pk for (pk,) in cursor.fetchall()}

    def by_mentions(self) -> Self:
        """With `mention_count`, the most spoken of first."""
        return self.annotate(mention_count=models.Count("mentions")).order_by("-mention_count", "pk")


# Plain SQL, since a question is asked by every run of its words.
_CALLED_SQL = """
    SELECT id FROM memory_entity WHERE owner_id = %s AND key IN ({keys})
    UNION SELECT entity_id FROM memory_mention WHERE owner_id = %s AND key IN ({keys})
"""


class Entity(models.Model):
    """Somebody or something that was spoken of.

    A name belongs to one entity of its owner: its own, and those by which recollections mention it. Writers keep that
    under the owner's lock (`graph.py`); the triggers let an entity go with its last mention, and take its name from a
    mention that remains when the one that told it goes.
    """

    class Kind(models.TextChoices):
        """What it is."""

        PERSON = "person"
        PLACE = "place"
        ORGANISATION = "organisation"
        EMAIL = "email"
        LINK = "link"
        DATE = "date"
        MUSIC = "music"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="entities")
    name = models.CharField(max_length=NAME_MAX)
    # The name as it is compared: see `fold_name`.
    key = models.CharField(max_length=NAME_MAX)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    # The person chose the name, so it stays when what was said is forgotten.
    is_renamed = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = EntityQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="one_entity_a_name")]
        verbose_name_plural = "entities"

    def __str__(self) -> str:
        return f"Entity {self.pk}"

    def rename(self, name: str) -> None:
        """Call it so from now on; what recollections call it still leads to it."""
        self.name, self.key, self.is_renamed = name, fold_name(name), True
        self.save(update_fields=["name", "key", "is_renamed"])

    def absorb(self, other: Entity) -> None:
        """Take over all that is known of `other`, and its names, and let it go. Within a transaction."""
        other.mentions.update(entity=self)
        facts = [*Relation.objects.filter(models.Q(subject=other) | models.Q(object=other))]
        Relation.objects.filter(pk__in=[fact.pk for fact in facts]).delete()
        Relation.objects.bulk_create(
            [moved for fact in facts if (moved := fact.with_instead(other, self))], ignore_conflicts=True
        )
        Entity.objects.filter(pk=other.pk).delete()


class Mention(models.Model):
    """A recollection speaks of an entity, by this name."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="mentions", db_index=False)
    # A trigger takes mentions and relations with their recollection: it also sees those that came a moment ago.
    recollection = models.ForeignKey(Recollection, on_delete=models.DO_NOTHING, related_name="mentions")
    name = models.CharField(max_length=NAME_MAX)
    key = models.CharField(max_length=NAME_MAX)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["recollection", "key"], name="one_mention_a_name")]
        indexes = [
            models.Index(fields=["owner", "key", "entity"], name="entities_by_name"),
            models.Index(fields=["entity", "name"], name="names_of_an_entity"),
        ]

    def __str__(self) -> str:
        return f"Mention {self.pk}"


class RelationQuerySet(models.QuerySet["Relation"]):
    """Questions about many relations."""

    def visible_to(self, user: User) -> Self:
        """Those of one person: the only door."""
        return self.filter(owner_id=user.pk)

    def about(self, user_id: int, entities: Collection[int]) -> Self:
        """The person's that begin or end with one of these entities."""
        # The owner stands in both halves, so that each of them has an index.
        begins, ends = Q(owner_id=user_id, subject_id__in=entities), Q(owner_id=user_id, object_id__in=entities)
        return self.filter(begins | ends)

    def newest_first(self) -> Self:
        """By when it was said."""
        return self.order_by("-recollection__said_at", "-pk")

    def newest_ids(self, user_id: int, entities: Collection[int], limit: int) -> list[int]:
        """The newest `limit` of the person's that begin, and as many that end, with one of these entities."""
        if not entities:
            return []
        listed = ", ".join(map(str, entities))
        with connections[self.db].cursor() as cursor:
            cursor.execute(_NEWEST_SQL.format(entities=listed), [user_id, limit, user_id, limit])
            return [pk for (pk,) in cursor.fetchall()]


_NEWEST_SQL = """
    SELECT id FROM (
        SELECT id FROM memory_relation WHERE owner_id = %s AND subject_id IN ({entities}) ORDER BY id DESC LIMIT %s
    ) AS begins
    UNION SELECT id FROM (
        SELECT id FROM memory_relation WHERE owner_id = %s AND object_id IN ({entities}) ORDER BY id DESC LIMIT %s
    ) AS ends
"""


class Relation(models.Model):
    """A fact, as one recollection tells it: subject, predicate, object. The recollection mentions both."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="relations", db_index=False
    )
    subject = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="facts")
    predicate = models.CharField(max_length=PREDICATE_MAX)
    object = models.ForeignKey(Entity, on_delete=models.CASCADE, related_name="facts_about")
    recollection = models.ForeignKey(Recollection, on_delete=models.DO_NOTHING, related_name="relations")

    objects = RelationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["recollection", "subject", "predicate", "object"], name="one_fact_a_recollection"
            )
        ]
        indexes = [
            models.Index(fields=["owner", "subject"], name="facts_by_subject"),
            models.Index(fields=["owner", "object"], name="facts_by_object"),
        ]

    def __str__(self) -> str:
        return f"Relation {self.pk}"

    def with_instead(self, old: Entity, new: Entity) -> Relation | None:
        """The same fact told of `new`, not stored; None where it would say something about itself."""
        subject, obj = (new.pk if pk == old.pk else pk for pk in (self.subject_id, self.object_id))
        if subject == obj:
            return None
        return Relation(
            owner_id=self.owner_id,
            subject_id=subject,
            predicate=self.predicate,
            object_id=obj,
            recollection_id=self.recollection_id,
        )
