"""Memory where the machine fails: the process is killed while it embeds, the disk is full. Over a started product."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import httpx
from pytest_django import Settings

from apps.core import vectors
from apps.memory import embedding
from tests.scripted_model import ScriptedModel, tokens
from tests.servers import Product
from tests.waiting import until

SAID = 1_000
SAY = f"""
from datetime import UTC, datetime
from apps.accounts.models import User
from apps.memory.recall import remember
from django.db import transaction
alice = User.objects.get()
with transaction.atomic():
    for number in range({SAID}):
        text = f"Take {{number}} of the song about the river was the best so far."
        source, now = f"message:{{number}}", datetime.now(UTC)
        remember(alice.pk, text=text, source=source, thread="conversation:1", said_at=now)
"""


def embedded(product: Product) -> int:
    """How many recollections have a vector."""
    with closing(sqlite3.connect(f"file:{product.data_dir / 'gantry.db'}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(*) FROM memory_recollection WHERE embedder > ''").fetchone()[0])


def test_a_worker_that_is_killed_again_and_again_loses_and_doubles_nothing(
    product: Product, settings: Settings
) -> None:
    product.manage("shell", "--verbosity", "0", "--command", SAY)
    there = 0
    for _ in range(2):
        until(lambda before=there: embedded(product) > before)
        product.kill()
        there = embedded(product)
        assert there < SAID
        product.start()
    until(lambda: embedded(product) == SAID)
    product.stop()

    settings.DATA_DIR = product.data_dir
    bundled = embedding.bundled()
    store = vectors.VectorStore(bundled.name, bundled.dimension)
    assert store.count() == SAID
    store.close()


# --- A full disk


class SmallDisk:
    """The product with its data on a file system of 64 MB, of which it alone knows."""

    def __init__(self, folder: Path, database: Path, namespace: list[str], tabby_host: str) -> None:
        (folder / "data").mkdir()
        script = 'mount -t tmpfs -o size=64m none "$1" && cp "$2" "$1" && shift 2 && exec "$@"'
        within = [*namespace, "sh", "-c", script, "sh", str(folder / "data"), str(database)]
        self.product = Product(folder / "data", tabby_host=tabby_host, within=within)

    @property
    def ballast(self) -> Path:
        """A file of no use on it."""
        assert self.product.process is not None
        return Path(f"/proc/{self.product.process.pid}/root{self.product.data_dir}/ballast")

    def fill(self) -> None:
        """To the last byte."""
        with suppress(OSError), self.ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))


def ask(client: httpx.Client, conversation_id: int, text: str) -> int:
    """The status of the answer; 0 where none comes, since there is room for the question but not for its reply."""
    path = f"/api/chat/conversations/{conversation_id}/messages"
    message, headers = {"content": text, "model": "say-2"}, {"Accept": "application/json"}
    try:
        return client.post(path, json=message, headers=headers, timeout=0.5).status_code
    except httpx.ReadTimeout:
        return 0


def asked(client: httpx.Client) -> dict[str, bool]:
    """Of the questions that are remembered, each with its vector or not; none is there twice."""
    listed = client.get("/api/memory?limit=200").json()["memories"]
    questions = [(memory["text"], memory["embedded"]) for memory in listed if memory["text"] != tokens(2)]
    assert len(questions) == len(dict(questions))
    return dict(questions)


def test_on_a_full_disk_what_was_acknowledged_is_remembered_once_there_is_room(
    tmp_path: Path, database_with_alice: Path, namespace: list[str], model_server: ScriptedModel
) -> None:
    model_server.reset()
    disk = SmallDisk(tmp_path, database_with_alice, namespace, model_server.url)
    with disk.product as product:
        client = product.sign_in()
        first, *others, last = (int(client.post("/api/chat/conversations").json()["id"]) for _ in range(10))
        statuses = {"There is room.": ask(client, first, "There is room.")}
        disk.fill()
        for conversation_id in others:
            question = f"Is there room for number {conversation_id}, too?" + " la" * 5_000
            statuses[question] = ask(client, conversation_id, question)
        assert statuses[question] == 503
        assert set(statuses.values()) <= {200, 503, 0}
        disk.ballast.unlink()
        assert ask(client, last, "There is room again.") == 200

        until(lambda: all(asked(client).values()))
        acknowledged = {question for question, status in statuses.items() if status == 200}
        assert acknowledged | {"There is room again."} <= asked(client).keys()
