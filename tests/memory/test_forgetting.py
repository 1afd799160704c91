"""Forgetting is total, by whatever door: no table and none of Chroma's files keeps a trace. Over a started product."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.memory import embedding
from tests.scripted_model import ScriptedModel
from tests.servers import EMAIL, PASSWORD, Product
from tests.waiting import until

OPERATOR = "root@example.org"


class Teller:
    """Somebody who tells the assistant something, and a look into everything that is stored."""

    def __init__(self, product: Product, email: str, canary: str) -> None:
        self.product, self.email, self.canary = product, email, canary.lower()
        self.client = product.sign_in(email)
        self.conversation_id = self.new_conversation()
        said = f"My sister {canary} lives in {canary}ville and plays the cello."
        # Its words can be told from it.
        self.vector = embedding.bundled().embed([said])[0].tobytes()
        self.message_id = self.tell(said)
        until(lambda: [memory["embedded"] for memory in self.memories()] == [True, True])
        until(lambda: self.canary in json.dumps(self.client.get("/api/memory/graph").json()).lower())
        assert {"memory_recollection", "memory_entity", "memory_mention"} <= self.tables_that_tell()
        assert self.files_that_tell() == {"chroma.sqlite3"}

    def new_conversation(self) -> int:
        return int(self.client.post("/api/chat/conversations").json()["id"])

    def tell(self, text: str) -> int:
        path = f"/api/chat/conversations/{self.conversation_id}/messages"
        reply = self.client.post(path, json={"content": text}, headers={"Accept": "application/json"}).json()
        return int(reply["parent_id"])

    def memories(self) -> list[dict[str, Any]]:
        memories: list[dict[str, Any]] = self.client.get("/api/memory").json()["memories"]
        return [memory for memory in memories if memory["source"]["conversation_id"] == self.conversation_id]

    def memory_id(self) -> int:
        return next(int(memory["id"]) for memory in self.memories() if self.canary in memory["text"].lower())

    def forms_token(self) -> dict[str, str]:
        return {"csrfmiddlewaretoken": self.client.cookies["csrftoken"]}

    def tables_that_tell(self) -> set[str]:
        """The tables in which a row holds the canary, those behind the full-text indexes among them."""
        with closing(sqlite3.connect(f"file:{self.product.data_dir / 'gantry.db'}?mode=ro", uri=True)) as database:
            database.text_factory = bytes
            names = [name.decode() for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            return {name for name in names if self._tells(database, name)}

    def _tells(self, database: sqlite3.Connection, table: str) -> bool:
        rows = database.execute(f'SELECT * FROM "{table}"')
        canary = self.canary.encode()
        return any(canary in value.lower() for row in rows for value in row if isinstance(value, bytes))

    def files_that_tell(self) -> set[str]:
        """Those of Chroma's."""
        files = [path for path in (self.product.data_dir / "vectors").rglob("*") if path.is_file()]
        return {path.name for path in files if self._holds(path.read_bytes())}

    def _holds(self, content: bytes) -> bool:
        return self.canary.encode() in content.lower() or self.vector in content


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, database_with_alice: Path, model_server: ScriptedModel
) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("forgetting")
    (folder / "gantry.db").write_bytes(database_with_alice.read_bytes())
    model_server.reset()
    with Product(folder, tabby_host=model_server.url) as product:
        product.add_account(OPERATOR)
        yield product


def by_page(teller: Teller) -> None:
    teller.client.post(f"/memory/{teller.memory_id()}/forget", data=teller.forms_token())


def by_page_with_the_conversation(teller: Teller) -> None:
    form = {"conversation": str(teller.conversation_id), **teller.forms_token()}
    teller.client.post("/memory/forget-conversation", data=form)


def by_api(teller: Teller) -> None:
    assert teller.client.delete(f"/api/memory/{teller.memory_id()}").status_code == 200


def by_api_with_the_conversation(teller: Teller) -> None:
    answer = teller.client.delete(f"/api/memory?conversation_id={teller.conversation_id}")
    assert answer.json() == {"forgotten": 2}


def by_api_with_everything(teller: Teller) -> None:
    assert teller.client.delete("/api/memory?all=true").json()["forgotten"] >= 2


def operator(teller: Teller) -> tuple[httpx.Client, dict[str, str]]:
    client = teller.product.sign_in(OPERATOR, PASSWORD)
    client.get("/admin/")
    return client, {"csrfmiddlewaretoken": client.cookies["csrftoken"], "post": "yes"}


def by_admin(teller: Teller) -> None:
    client, form = operator(teller)
    assert client.post(f"/admin/memory/recollection/{teller.memory_id()}/delete/", data=form).status_code == 302


def by_asking_differently(teller: Teller) -> None:
    content = {"content": "Never mind."}
    headers = {"Accept": "application/json"}
    teller.client.patch(f"/api/chat/messages/{teller.message_id}", json=content, headers=headers)


@pytest.mark.parametrize(
    "forget",
    [
        by_page,
        by_page_with_the_conversation,
        by_api,
        by_api_with_the_conversation,
        by_api_with_everything,
        by_admin,
        by_asking_differently,
    ],
)
def test_what_is_forgotten_stands_in_its_message_alone(house: Product, forget: Callable[[Teller], None]) -> None:
    teller = Teller(house, EMAIL, "Canary" + forget.__name__.replace("_", ""))
    forget(teller)
    said = {"conversations_message", "conversations_conversation", "message_text_data", "conversation_title_data"}
    until(lambda: teller.tables_that_tell() <= said)
    assert "conversations_message" in teller.tables_that_tell()
    until(lambda: "memory_forgottenvector" not in tables_with_rows(house))
    assert teller.files_that_tell() == set()


def by_deleting_the_conversation(teller: Teller) -> None:
    assert teller.client.delete(f"/api/chat/conversations/{teller.conversation_id}").status_code == 200


def by_deleting_the_conversation_in_the_admin(teller: Teller) -> None:
    client, form = operator(teller)
    path = f"/admin/conversations/conversation/{teller.conversation_id}/delete/"
    assert client.post(path, data=form).status_code == 302


def by_deleting_the_account_in_the_admin(teller: Teller) -> None:
    client, form = operator(teller)
    user_id = teller.client.get("/api/auth/me").json()["id"]
    assert client.post(f"/admin/accounts/user/{user_id}/delete/", data=form).status_code == 302


@pytest.mark.parametrize(
    "delete",
    [
        by_deleting_the_conversation,
        by_deleting_the_conversation_in_the_admin,
        by_deleting_the_account_in_the_admin,
    ],
)
def test_what_is_deleted_leaves_nothing_anywhere(house: Product, delete: Callable[[Teller], None]) -> None:
    canary = "Canary" + delete.__name__.replace("_", "")
    email = f"{delete.__name__[:30]}@example.org"
    house.add_account(email)
    teller = Teller(house, email, canary)
    delete(teller)
    until(lambda: teller.tables_that_tell() == set())
    until(lambda: "memory_forgottenvector" not in tables_with_rows(house))
    assert teller.files_that_tell() == set()


def tables_with_rows(product: Product) -> set[str]:
    with closing(sqlite3.connect(f"file:{product.data_dir / 'gantry.db'}?mode=ro", uri=True)) as database:
        return {
            name
            for name in ("memory_forgottenvector", "memory_recollection")
            if database.execute(f"SELECT 1 FROM {name}").fetchone()
        }
