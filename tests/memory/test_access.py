"""Whose memory it is: one table over every route and page, each tried by everybody.

What is one's own opens; what is somebody else's is not there, to the byte, and operators are strangers here too. A new
route without a row fails a test. Whoever is refused, and whoever is let in to their own, has changed nothing of hers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from apps.accounts.models import User
from apps.memory.models import Entity, MemorySetting, Mention, Recollection, Relation
from apps.memory.urls import urlpatterns
from tests.memory.said import conversation_id, entity, know, say, talk

CANARY = "Canarybird"
MISSING = 10**18 - 1
# The owner comes last, so that nothing is gone before somebody else has tried.
EVERYBODY = ("nobody", "stranger", "operator", "owner")


@dataclass(frozen=True)
class Door:
    """A request and the status of its success; `{…}` in it is of the owner's memory, or of one that is not there."""

    method: str
    path: str
    status: int = 200
    body: Any = None
    form: dict[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_to_something(self) -> bool:
        """It names a row; other doors lead to whatever is one's own."""
        return any("{" in text for text in (self.path, *(self.form or {}).values()))

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api")


API = [
    Door("GET", "/api/memory"),
    Door("GET", f"/api/memory?q={CANARY.lower()}"),
    Door("GET", "/api/memory/settings"),
    Door("PATCH", "/api/memory/settings", body={"enabled": False}),
    Door("GET", "/api/memory/graph"),
    Door("GET", "/api/memory/entities/{entity}"),
    Door("PATCH", "/api/memory/entities/{entity}", body={"name": "Changed"}),
    Door("PATCH", "/api/memory/entities/{entity}", body={"merge_into": "{other}"}),
    Door("DELETE", "/api/memory/entities/{other}", 204),
    Door("DELETE", "/api/memory/{memory}"),
    Door("DELETE", "/api/memory?all=true"),
]
PAGES = [
    Door("GET", "/memory"),
    Door("GET", f"/memory?q={CANARY.lower()}"),
    Door("GET", "/memory/graph"),
    Door("GET", "/memory/entities"),
    Door("GET", "/memory/entities/{entity}"),
    Door("POST", "/memory/switch", 302, form={"enabled": "off"}),
    Door("POST", "/memory/entities/{entity}/rename", 302, form={"name": "Changed"}),
    Door("POST", "/memory/entities/{entity}/merge", 302, form={"into": "Other"}),
    Door("POST", "/memory/entities/{other}/delete", 302, form={}),
    Door("POST", "/memory/{memory}/forget", 302, form={}),
    Door("POST", "/memory/forget-conversation", 302, form={"conversation": "{conversation}"}),
    Door("POST", "/memory/forget-all", 302, form={}),
]
DOORS = [*API, *PAGES]


@dataclass(frozen=True)
class Stage:
    """What one person said, and everybody in a browser of their own."""

    ids: dict[str, int]
    owner: User
    browsers: dict[str, Client]

    def ask(self, who: str, door: Door, ids: dict[str, int] | None = None) -> Any:
        """Try the door, at her things or at others."""
        there = self.ids if ids is None else ids
        browser, path = self.browsers[who], door.path.format(**there)
        if door.form is not None:
            return browser.post(path, {name: value.format(**there) for name, value in door.form.items()})
        body = re.sub(r'"{(\w+)}"', lambda name: str(there[name[1]]), json.dumps(door.body))
        return browser.generic(door.method, path, b"" if door.body is None else body, "application/json")

    def stored(self) -> list[Any]:
        """All that is kept of her."""
        tables = (Recollection, Entity, Mention, Relation, MemorySetting)
        return [list(table.objects.filter(owner=self.owner).order_by("pk").values()) for table in tables]


@pytest.fixture
def stage(alice: User, bob: User, root: User, browser_of: Callable[[User], Client]) -> Stage:
    said = say(alice, f"{CANARY} plays cello", talk(alice, f"About {CANARY}"))
    know(said, CANARY, "plays", "cello")
    know(say(alice, "Other sings"), "Other", "plays", "cello")
    ids = {
        "memory": said.pk,
        "conversation": conversation_id(said),
        "entity": entity(alice, CANARY).pk,
        "other": entity(alice, "Other").pk,
    }
    people = {"stranger": bob, "operator": root, "owner": alice}
    browsers = {"nobody": Client()} | {name: browser_of(user) for name, user in people.items()}
    return Stage(ids, alice, browsers)


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_door_opens_to_its_owner_and_to_nobody_else(door: Door, stage: Stage) -> None:
    nobody = 401 if door.is_api else 302
    others = 404 if door.is_to_something else door.status
    for who, status in zip(EVERYBODY, (nobody, others, others, door.status), strict=True):
        before = stage.stored()
        answer = stage.ask(who, door)
        assert answer.status_code == status, who
        if who == "nobody" and not door.is_api:
            assert answer.url.startswith("/login?next="), who
        if who != "owner":
            assert CANARY not in answer.content.decode(), who
            assert stage.stored() == before, who


@pytest.mark.parametrize("door", [door for door in DOORS if door.is_to_something], ids=str)
def test_what_is_somebody_elses_looks_like_what_is_not_there(door: Door, stage: Stage) -> None:
    for who in ("stranger", "operator"):
        theirs = stage.ask(who, door)
        missing = stage.ask(who, door, dict.fromkeys(stage.ids, MISSING))
        assert theirs.status_code == missing.status_code == 404
        assert without_tokens(theirs.content) == without_tokens(missing.content), who


def without_tokens(page: bytes) -> bytes:
    """Every page has CSRF tokens of its own."""
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", page)


@pytest.mark.parametrize("door", [door for door in DOORS if door.method != "GET"], ids=str)
def test_an_unsafe_request_by_cookie_needs_its_csrf_token(door: Door, stage: Stage, alice: User) -> None:
    stage.browsers["owner"] = Client(enforce_csrf_checks=True)
    stage.browsers["owner"].force_login(alice)
    before = stage.stored()
    assert stage.ask("owner", door).status_code == 403
    assert stage.stored() == before


def test_the_tables_have_every_route() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {shape(str(door)) for door in API} == {shape(route) for route in routes if " /api/memory" in route}
    assert {shape(door.path)[1:] for door in PAGES} == {
        shape(re.sub(r"<\w+:(\w+)>", r"{\1}", str(each.pattern))) for each in urlpatterns
    }


def shape(path: str) -> str:
    """Without the query, and without the names of its ids."""
    return re.sub(r"{\w+}", "{}", path.partition("?")[0])
