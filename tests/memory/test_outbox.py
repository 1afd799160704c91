"""Vectors follow the rows, through every fault: made when its cause is gone, none twice, none too many."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.core import vectors
from apps.core.vectors import VectorStore
from apps.memory import embedding
from apps.memory import outbox as work_to_do
from apps.memory.models import ForgottenVector, Recollection
from apps.memory.outbox import BATCH, FAILURES_IN_A_ROW, Outbox
from apps.memory.recall import forget_all, forget_one, recall
from tests.memory.conftest import Remember, work
from tests.waiting import until

if TYPE_CHECKING:
    from apps.memory.embedding import Vectors

pytestmark = pytest.mark.django_db


def the_store() -> VectorStore:
    embedder = embedding.current()
    return vectors.store(embedder.name, embedder.dimension)


def waiting() -> int:
    return Recollection.objects.waiting().count()


class Stumbling:
    """An embedder that raises at texts which hold a word; the rest it leaves to the real one."""

    def __init__(self, word: str) -> None:
        self.real = embedding.current()
        self.name, self.dimension, self.unrelated = self.real.name, self.real.dimension, self.real.unrelated
        self.word = word
        self.asked = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += 1
        if any(self.word in text for text in texts):
            raise RuntimeError("I cannot read this")
        return self.real.embed(texts)


@pytest.fixture
def stumbling(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Stumbling]:
    def installed(word: str) -> Stumbling:
        embedder = Stumbling(word)
        monkeypatch.setattr(embedding, "current", lambda: embedder)
        return embedder

    return installed


def test_each_recollection_gets_one_vector(outbox: Outbox, say: Remember, bob: User) -> None:
    mine, other = say("My dog is called Rex."), say("I play the cello.", user=bob)
    work(outbox)
    assert waiting() == 0
    assert the_store().count() == 2
    assert set(the_store().vectors(mine.owner_id, [mine.pk, other.pk])) == {mine.pk}
    mine.refresh_from_db()
    kept = np.frombuffer(mine.vector, dtype="<f2").astype(np.float32)
    np.testing.assert_allclose(kept, the_store().vectors(mine.owner_id, [mine.pk])[mine.pk], atol=1e-3)


def test_what_is_done_twice_is_there_once(outbox: Outbox, say: Remember) -> None:
    """As after a kill between the vector and the note that it is there."""
    row = say("My dog is called Rex.")
    work(outbox)
    Recollection.objects.update(embedder="", vector=b"")
    work(outbox)
    assert the_store().count() == 1
    row.refresh_from_db()
    assert row.embedder == embedding.current().name


def test_more_than_one_batch_is_done(outbox: Outbox, say: Remember) -> None:
    for number in range(BATCH + 3):
        say(f"Song number {number} needs a bridge.")
    work(outbox)
    assert (waiting(), the_store().count()) == (0, BATCH + 3)


def test_what_is_forgotten_loses_its_vector(outbox: Outbox, say: Remember, alice: User) -> None:
    row, kept = say("My dog is called Rex."), say("I play the cello.")
    work(outbox)
    forget_one(row)
    work(outbox)
    assert set(the_store().vectors(alice.pk, [row.pk, kept.pk])) == {kept.pk}
    assert not ForgottenVector.objects.exists()
    forget_all(alice.pk)
    work(outbox)
    assert the_store().count() == 0


def test_what_is_forgotten_in_several_batches_is_purged_once_an_owner(
    outbox: Outbox, say: Remember, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    purge = VectorStore.purge
    purged: list[int] = []

    def noted(store: VectorStore, owner_id: int) -> None:
        purged.append(owner_id)
        purge(store, owner_id)

    monkeypatch.setattr(VectorStore, "purge", noted)
    monkeypatch.setattr(work_to_do, "FORGOTTEN_BATCH", 3)
    rows = [say("My dog is called Rex.") for _ in range(4)]
    rows += [say("I play the cello.", user=bob) for _ in range(4)]
    work(outbox)
    Recollection.objects.all().delete()
    work(outbox)
    assert purged == sorted({row.owner_id for row in rows})
    assert the_store().count() == 0
    assert not ForgottenVector.objects.exists()


def test_what_is_forgotten_while_its_vector_is_made_has_none(
    outbox: Outbox, say: Remember, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when another process has done the deletion already."""
    row = say("My dog is called Rex.")
    add = VectorStore.add

    def forget_before_adding(store: VectorStore, owner_id: int, made: dict[int, Vectors]) -> None:
        Recollection.objects.filter(pk=row.pk).delete()
        ForgottenVector.objects.all().delete()
        add(store, owner_id, made)

    monkeypatch.setattr(VectorStore, "add", forget_before_adding)
    work(outbox)
    assert the_store().count() == 0


def test_a_text_that_the_embedder_refuses_waits_and_holds_up_nobody(
    outbox: Outbox, say: Remember, stumbling: Callable[[str], Stumbling]
) -> None:
    refused = say("Cursed words.")
    say("My dog is called Rex.")
    say("I play the cello.")
    stumbling("Cursed")
    work(outbox)
    assert list(Recollection.objects.waiting()) == [refused]
    refused.refresh_from_db()
    assert (refused.attempts, refused.due_at > timezone.now()) == (1, True)
    assert outbox.fault == ""


def test_an_embedder_that_takes_nothing_is_said_and_tried_again(
    outbox: Outbox, say: Remember, stumbling: Callable[[str], Stumbling]
) -> None:
    for number in range(10):
        say(f"Song {number}.")
    embedder = stumbling("Song")
    work(outbox)
    assert "I cannot read this" in outbox.fault
    assert embedder.asked == 1 + FAILURES_IN_A_ROW
    work(outbox)
    assert embedder.asked == 1 + FAILURES_IN_A_ROW, "it rests before it tries again"

    embedder.word = "nothing that is said"
    Recollection.objects.update(due_at=timezone.now())
    until(lambda: outbox.work() or waiting() == 0)
    assert outbox.fault == ""


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("chroma", ["down", "hangs"])
def test_while_chroma_is_away_nothing_is_lost(
    chroma: str,
    outbox: Outbox,
    say: Remember,
    alice: User,
    settings: Settings,
    silent_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say("My dog is called Rex.")
    settings.CHROMA_HOST = silent_server if chroma == "hangs" else "http://127.0.0.1:9"
    with monkeypatch.context() as impatient:
        impatient.setattr(vectors, "CALL_SECONDS", 0.2)
        work(outbox)
        assert waiting() == 1
        assert outbox.fault
        recalled = recall(alice.pk, "What is my dog called?")
    assert [memory.excerpt for memory in recalled.memories] == ["My dog is called Rex."], "words need no vectors"

    vectors.close()
    settings.CHROMA_HOST = ""
    until(lambda: Outbox().work() or waiting() == 0)
    assert the_store().count() == 1


def test_a_corrupt_folder_is_made_anew_from_the_database(
    outbox: Outbox, say: Remember, vector_folder: Path, alice: User
) -> None:
    rows = [say("My dog is called Rex."), say("I play the cello.")]
    work(outbox)
    vectors.close()
    for file in vector_folder.rglob("*"):
        if file.is_file():
            file.write_bytes(b"garbage" * 1000)
    say("One more thing.")
    work(outbox)
    work(Outbox())
    assert waiting() == 0
    assert the_store().count() == 3
    assert len(the_store().vectors(alice.pk, [row.pk for row in rows])) == 2


def test_a_folder_that_is_gone_is_made_anew(outbox: Outbox, say: Remember, vector_folder: Path) -> None:
    say("My dog is called Rex.")
    work(outbox)
    vectors.close()
    vector_folder.rename(vector_folder.with_name("lost"))
    say("I play the cello.")
    work(Outbox())
    assert (waiting(), the_store().count()) == (0, 2)


def test_vectors_that_chroma_lost_without_a_word_are_made_anew(
    outbox: Outbox, say: Remember, vector_folder: Path, alice: User
) -> None:
    lost = say("My dog is called Rex.")
    say("I play the cello.")
    work(outbox)
    the_store().delete(alice.pk, [lost.pk])
    work(outbox)
    assert the_store().count() == 1, "it looks once"
    work(Outbox())
    assert (waiting(), the_store().count()) == (0, 2)


class Other(Stumbling):
    """An embedder of another name."""

    def __init__(self) -> None:
        super().__init__("nothing that is said")
        self.name = "other-embedder"


def test_another_embedder_is_noticed_and_not_mixed(
    outbox: Outbox, say: Remember, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = say("My dog is called Rex.")
    work(outbox)
    other = Other()
    monkeypatch.setattr(embedding, "current", lambda: other)
    say("I play the cello.")
    work(outbox)
    assert "bin/gantry reembed" in outbox.fault
    assert waiting() == 1
    assert recall(alice.pk, "What is my dog called?").missing == ("memory",)

    said = StringIO()
    call_command("reembed", stdout=said)
    assert said.getvalue() == "All 2 recollections have their vector.\n"
    assert (waiting(), the_store().count()) == (0, 2)
    before.refresh_from_db()
    assert before.embedder == "other-embedder"
    assert recall(alice.pk, "What is my dog called?").missing == ()


def test_reembedding_says_what_keeps_it_from_it(
    say: Remember, stumbling: Callable[[str], Stumbling], vector_folder: Path
) -> None:
    for number in range(3):
        say(f"Song {number}.")
    stumbling("Song")
    with pytest.raises(CommandError, match="I cannot read this"):
        call_command("reembed")
