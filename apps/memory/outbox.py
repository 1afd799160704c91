"""The vectors of recollections: made after these were stored, deleted after these were forgotten.

The rows are the outbox: a recollection without an `embedder` waits for its vector, a `ForgottenVector` for its
deletion, a `Rebuild` for all vectors to be made anew. Every step may be repeated, so a kill between any two of them
costs nothing but doing it again; no reply waits for anything here.

One process does the work: the one that owns the vectors' folder. With a Chroma server every process may; what two of
them do twice is the same.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from apps.core import vectors
from apps.core.vectors import EmbedderMismatch, VectorsElsewhere, VectorsError, VectorStore
from apps.llm.errors import LLMError, LLMUnreachable
from apps.memory import embedding, words
from apps.memory.embedding import Embedder
from apps.memory.models import ForgottenVector, Rebuild, Recollection

if TYPE_CHECKING:
    from apps.memory.embedding import Vectors

log = logging.getLogger(__name__)

BATCH = 100
FORGOTTEN_BATCH = 1000
# Forgetting writes whole shards anew, which searches wait for: so it rests so many times as long as it took.
FORGET_REST = 5
# A text is embedded up to here: what comes later changes the meaning of the whole little.
EMBEDDED_LENGTH = 8000
MAX_PAUSE_SECONDS = 30.0
# So many texts one after the other, and it is the embedder that is broken, not they.
FAILURES_IN_A_ROW = 3


class EmbedderBroken(Exception):
    """The embedder takes no text at all."""


class Outbox:
    """The work of one process, and how it is going."""

    def __init__(self) -> None:
        # What keeps the vectors from being made, as a sentence for operators; empty while nothing does.
        self.fault = ""
        # Somebody else does this work.
        self.is_elsewhere = False
        self._is_looked_over = False
        self._pause = 0.0
        self._resume_at = 0.0
        self._forget_at = 0.0

    def work(self) -> bool:
        """One batch; True when there may be more at once. Raises nothing but what the database does."""
        if time.monotonic() < self._resume_at or not (_is_anything_due() or self._is_unseen()):
            return False
        try:
            embedder = embedding.current()
            store = vectors.store(embedder.name, embedder.dimension)
            if Rebuild.objects.exists():
                store.clear()
            elif not self._is_looked_over:
                _clear_if_incomplete(store)
            self._is_looked_over = True
            more = self._work_on(store, embedder)
        except VectorsElsewhere:
            self.is_elsewhere = True
            self._rest(MAX_PAUSE_SECONDS)
        except EmbedderMismatch as mismatch:
            self._fail(f"The vectors were made by {mismatch.found}, not {mismatch.wanted}: run `bin/gantry reembed`.")
        except (VectorsError, LLMError, EmbedderBroken) as fault:
            self._fail(str(fault))
        else:
            self.fault, self.is_elsewhere, self._pause = "", False, 0.0
            return more
        return False

    def _work_on(self, store: VectorStore, embedder: Embedder) -> bool:
        if store.was_rebuilt:
            _begin_anew(store)
        is_full = _embed(store, embedder) == BATCH
        return self._forget(store) or is_full

    def _forget(self, store: VectorStore) -> bool:
        """A batch of what is forgotten, and then a rest in which more of it may come together."""
        began = time.monotonic()
        if began < self._forget_at:
            return False
        has_more = _forget(store)
        self._forget_at = 0.0 if has_more else began + (1 + FORGET_REST) * (time.monotonic() - began)
        return has_more

    def _is_unseen(self) -> bool:
        """Whether there should be vectors, and nobody has looked yet whether they are there."""
        return not self._is_looked_over and Recollection.objects.exclude(embedder="").exists()

    def _fail(self, sentence: str) -> None:
        if sentence != self.fault:
            log.error("memory: %s", sentence)
        self.fault = sentence
        self._rest(min(max(1.0, self._pause * 2), MAX_PAUSE_SECONDS))

    def _rest(self, seconds: float) -> None:
        self._pause = seconds
        self._resume_at = time.monotonic() + seconds


def _is_anything_due() -> bool:
    return (
        Recollection.objects.waiting().due(timezone.now()).exists()
        or ForgottenVector.objects.exists()
        or Rebuild.objects.exists()
    )


def _clear_if_incomplete(store: VectorStore) -> None:
    """Chroma does not notice all that it has lost."""
    there, wanted = store.count(), Recollection.objects.filter(embedder=store.embedder).count()
    if there < wanted:
        log.error("memory: of %d vectors %d are there", wanted, there)
        store.clear()


def _begin_anew(store: VectorStore) -> None:
    """The store is empty, because it is new, or was lost, or somebody asked for it: the database has everything."""
    with transaction.atomic():
        lost = Recollection.objects.unembed()
        ForgottenVector.objects.all().delete()
        Rebuild.objects.all().delete()
    if lost:
        log.warning("memory: %d vectors are made anew", lost)
    store.acknowledge_rebuilt()


def _embed(store: VectorStore, embedder: Embedder) -> int:
    batch = list(Recollection.objects.waiting().due(timezone.now()).order_by("due_at")[:BATCH])
    for rows, made in _vectors_of(batch, embedder):
        by_owner: dict[int, dict[int, Vectors]] = defaultdict(dict)
        for row, vector in zip(rows, made, strict=True):
            by_owner[row.owner_id][row.pk] = vector
        for owner_id, theirs in by_owner.items():
            store.add(owner_id, theirs)
            _withdraw_forgotten(store, owner_id, theirs)
        Recollection.objects.embedded(_packed(by_owner.values()), embedder.name)
    return len(batch)


def _vectors_of(rows: Sequence[Recollection], embedder: Embedder) -> Iterator[tuple[Sequence[Recollection], Vectors]]:
    """The rows with their vectors, all at once, or one by one when the embedder stumbles over one of them."""
    try:
        made = embedder.embed([_embedded_text(row) for row in rows])
    except LLMUnreachable:
        raise
    except Exception as fault:  # noqa: BLE001 -- an embedder is other people's code; memory waits, and goes on
        log.warning("memory: %d texts cannot be embedded at once: %s", len(rows), fault)
        yield from _one_by_one(rows, embedder)
    else:
        yield rows, made


def _one_by_one(rows: Sequence[Recollection], embedder: Embedder) -> Iterator[tuple[Sequence[Recollection], Vectors]]:
    in_a_row = 0
    for row in rows:
        try:
            made = embedder.embed([_embedded_text(row)])
        except Exception as fault:
            Recollection.objects.failed([row.pk], timezone.now())
            in_a_row += 1
            if in_a_row == FAILURES_IN_A_ROW:
                raise EmbedderBroken(str(fault)) from fault
        else:
            in_a_row = 0
            yield [row], made


def _embedded_text(row: Recollection) -> str:
    return words.speaker_and_said(row.text, row.speaker)[1][:EMBEDDED_LENGTH]


def _packed(parts: Iterable[Mapping[int, Vectors]]) -> dict[int, bytes]:
    return {pk: vector.astype("<f2").tobytes() for part in parts for pk, vector in part.items()}


def _withdraw_forgotten(store: VectorStore, owner_id: int, ids: Collection[int]) -> None:
    """What was forgotten while its vector was on the way, and whose deletion somebody has already done."""
    there = set(Recollection.objects.filter(pk__in=ids).values_list("pk", flat=True))
    if gone := [pk for pk in ids if pk not in there]:
        store.delete(owner_id, gone)
        store.purge(owner_id)


def _forget(store: VectorStore) -> bool:
    """A batch of what was forgotten; whether there is more. Of an owner of whom there is more, one row stays to tell
    that their shard is still to be purged."""
    rows = list(ForgottenVector.objects.order_by("owner_id", "pk")[:FORGOTTEN_BATCH])
    is_all = len(rows) < FORGOTTEN_BATCH
    done: list[ForgottenVector] = []
    for owner_id, group in groupby(rows, key=attrgetter("owner_id")):
        theirs = list(group)
        store.delete(owner_id, [row.recollection_id for row in theirs])
        if is_all or theirs[-1] is not rows[-1]:
            store.purge(owner_id)
            done += theirs
        else:
            done += theirs[:-1]
    ForgottenVector.objects.filter(pk__in=[row.pk for row in done]).delete()
    return not is_all


@cache
def outbox() -> Outbox:
    """This process's."""
    return Outbox()


def work() -> bool:
    """One batch of what is due; whether there may be more: the job of a keeper."""
    return outbox().work()


def state() -> str:
    """`ok`, or `down` while vectors cannot be made: for `/health`."""
    return "down" if outbox().fault else "ok"
