"""Many write one person's graph at once: nothing is lost, nothing is doubled, and forgetting meanwhile is total."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Barrier

import pytest
from django.db import connection

from apps.accounts.models import User
from apps.core.errors import NotFound
from apps.memory import graph
from apps.memory.models import Entity, Mention, Recollection, Relation
from apps.memory.recall import forget_all
from tests.memory.remembered import recollect

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS = 8


def at_once(*jobs: Callable[[], object]) -> None:
    """Run them in a thread each, from the same moment on; what one raises is raised."""
    barrier = Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            barrier.wait()
            job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as threads:
        for done in [threads.submit(run, job) for job in jobs]:
            done.result()


def test_eight_writers_on_shared_entities_lose_and_double_nothing(alice: User) -> None:
    recollections = [recollect(alice, "…") for _ in range(WRITERS)]

    def write(mine: Recollection) -> None:
        for number in range(12):
            graph.add_fact(mine, f"Person {number % 4}", "plays", f"Instrument {number}", object_kind="music")

    at_once(*(lambda mine=each: write(mine) for each in recollections))
    assert Entity.objects.count() == 4 + 12
    assert Relation.objects.count() == WRITERS * 12
    assert Mention.objects.count() == WRITERS * 16


def test_eight_readers_of_one_recollection_store_it_once(alice: User) -> None:
    recollection = recollect(alice, "My sister Anna plays the cello. She lives in Lisbon.")
    at_once(*(lambda: graph.read(recollection) for _ in range(WRITERS)))
    assert Relation.objects.count() == 3
    assert Mention.objects.count() == 4


def test_what_is_forgotten_while_it_is_read_leaves_nothing(alice: User) -> None:
    recollections = [recollect(alice, "Anna plays the cello. Tom lives in Lisbon.") for _ in range(40)]

    def read(mine: Sequence[Recollection]) -> None:
        for each in mine:
            graph.read(each)

    def forget(mine: Sequence[Recollection]) -> None:
        for each in mine:
            Recollection.objects.filter(pk=each.pk).delete()

    halves = recollections[:20], recollections[20:]
    at_once(*(lambda mine=half: read(mine) for half in halves), *(lambda mine=half: forget(mine) for half in halves))
    assert [model.objects.count() for model in (Entity, Mention, Relation)] == [0, 0, 0]


def test_merging_while_others_write_loses_no_fact(alice: User) -> None:
    first = recollect(alice, "…")
    graph.add_fact(first, "Anna", "knows", "Zoe")
    graph.add_fact(first, "Annie", "knows", "Tom")
    said = [recollect(alice, "…") for _ in range(10)]

    def write() -> None:
        for each in said:
            graph.add_fact(each, "Annie", "plays", "cello", object_kind="music")

    def merge() -> None:
        graph.merge(Entity.objects.get(key="annie"), into=Entity.objects.get(key="anna"))

    at_once(write, write, merge)
    assert Relation.objects.filter(predicate="plays", subject__key="anna").count() == 10
    assert not Entity.objects.filter(key="annie").exists()


def test_merging_while_it_is_forgotten_hinders_neither(alice: User) -> None:
    for _ in range(4):
        said = [recollect(alice, "…") for _ in range(30)]
        for each in said:
            graph.add_fact(each, "Anna", "lives in", "Lisbon", object_kind="place")
        graph.add_fact(said[0], "Tom", "knows", "Anna")
        anna, tom = (Entity.objects.get(key=key) for key in ("anna", "tom"))
        at_once(partial(_merged, anna, tom), partial(forget_all, alice.pk))
        assert [model.objects.count() for model in (Recollection, Entity, Mention, Relation)] == [0, 0, 0, 0]


def _merged(entity: Entity, into: Entity) -> None:
    with suppress(NotFound):
        graph.merge(entity, into=into)


def test_embedding_while_it_is_forgotten_hinders_neither(alice: User) -> None:
    for _ in range(10):
        said = [recollect(alice, "…") for _ in range(200)]
        made = {each.pk: b"vector" for each in reversed(said)}
        at_once(partial(Recollection.objects.embedded, made, "an embedder"), partial(forget_all, alice.pk))
        assert not Recollection.objects.exists()


def test_deleting_while_others_write_ends_in_one_or_the_other(alice: User) -> None:
    said = [recollect(alice, "…") for _ in range(20)]

    def write() -> None:
        for each in said:
            graph.add_fact(each, "Anna", "plays", "cello", object_kind="music")

    def delete() -> None:
        for _ in range(10):
            for entity in Entity.objects.filter(key="anna"):
                graph.delete(entity)

    at_once(write, write, delete)
    assert not Relation.objects.exclude(subject__key="anna").exists()
    assert Mention.objects.filter(key="anna").count() == Relation.objects.count()


def test_the_account_can_go_while_its_graph_is_written(alice: User) -> None:
    said = [recollect(alice, "…") for _ in range(20)]

    def write() -> None:
        for each in said:
            try:
                graph.add_fact(each, "Anna", "plays", "cello", object_kind="music")
            except NotFound:
                return

    at_once(write, write, lambda: User.objects.get(pk=alice.pk).delete())
    assert [model.objects.count() for model in (User, Recollection, Entity, Mention, Relation)] == [0, 0, 0, 0, 0]
