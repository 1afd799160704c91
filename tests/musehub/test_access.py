"""Who may: one table over every door to a repo, each tried by everybody, on a public repo and on a private one.

A row is a door, the rule by which it opens, and what it answers to whom it opens. A new door is a new row; a route of
the API that has none fails a test here. Whoever is refused has changed nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.models import Activity, Collaborator, FeedAddress, RecordingSession, Repo
from apps.musehub.urls import urlpatterns
from tests.conversations.test_sockets import OURS, Socket
from tests.musehub.conftest import NINE, BrowserOf, send

OK = 0  # what the row says
# Those who are let in come last, so that nothing is gone before somebody else has tried.
EVERYBODY = ("nobody", "stranger", "operator", "collaborator", "owner")
Rule = dict[str, tuple[int, int, int, int, int]]

READ: Rule = {"public": (OK, OK, OK, OK, OK), "private": (401, 404, 404, OK, OK)}
WRITE: Rule = {"public": (401, 403, 403, OK, OK), "private": (401, 404, 404, OK, OK)}
OWN: Rule = {"public": (401, 403, 403, 403, OK), "private": (401, 404, 404, 403, OK)}
# On pages nobody is sent to sign in; a calendar address of one's own is any reader's who is somebody.
SEE: Rule = {"public": (OK, OK, OK, OK, OK), "private": (302, 404, 404, OK, OK)}
SEE_AS_SOMEBODY: Rule = {"public": (302, OK, OK, OK, OK), "private": (302, 404, 404, OK, OK)}
FILL_IN: Rule = {"public": (302, 403, 403, OK, OK), "private": (302, 404, 404, OK, OK)}
SET_UP: Rule = {"public": (302, 403, 403, 403, OK), "private": (302, 404, 404, 403, OK)}
FOLLOW: Rule = {"public": (4401, OK, OK, OK, OK), "private": (4401, 4404, 4404, OK, OK)}


@dataclass(frozen=True)
class Door:
    """A request, the rule it is under, and the status of its success; `{…}` in the path is of the repo tried."""

    method: str
    path: str
    rule: Rule
    status: int = 200
    body: Any = None
    form: dict[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


REPO = "/api/repos/{repo_id}"
SESSION = f"{REPO}/sessions/{{session_id}}"
API = [
    Door("GET", REPO, READ),
    Door("PATCH", REPO, OWN, body={"description": "Changed"}),
    Door("DELETE", REPO, OWN, 204),
    Door("GET", f"{REPO}/collaborators", READ),
    Door("PUT", f"{REPO}/collaborators/{{user_id}}", OWN),
    Door("DELETE", f"{REPO}/collaborators/{{user_id}}", OWN, 204),
    Door("GET", f"{REPO}/sessions", READ),
    Door("POST", f"{REPO}/sessions", WRITE, 201, body={}),
    Door("GET", SESSION, READ),
    Door("PATCH", SESSION, WRITE, body={"notes": "Changed"}),
    Door("POST", f"{SESSION}/notes", WRITE, body={"text": "Changed"}),
    Door("POST", f"{SESSION}/stop", WRITE, body={}),
    Door("GET", f"{REPO}/activity", READ),
]
PAGE = "/studio/{owner}/{slug}"
SESSION_PAGE = f"{PAGE}/{{session_id}}"
PAGES = [
    Door("GET", PAGE, SEE),
    Door("GET", f"{PAGE}/settings", SEE_AS_SOMEBODY),
    Door("GET", f"{PAGE}/log", FILL_IN),
    Door("GET", f"{PAGE}/export.csv", SEE),
    Door("GET", f"{PAGE}/export.json", SEE),
    Door("GET", f"{PAGE}/export.ics", SEE),
    Door("GET", SESSION_PAGE, SEE),
    Door("POST", f"{PAGE}/settings", SET_UP, 302, form={"name": "Changed", "visibility": "private"}),
    Door("POST", f"{PAGE}/delete", SET_UP, 302, form={}),
    Door("POST", f"{PAGE}/collaborators", SET_UP, 302, form={"username": "bob"}),
    Door("POST", f"{PAGE}/collaborators/{{user_id}}/remove", SET_UP, 302, form={}),
    Door("POST", f"{PAGE}/feed", SEE_AS_SOMEBODY, 201, form={}),
    Door("POST", f"{PAGE}/feed/revoke", SEE_AS_SOMEBODY, 302, form={}),
    Door("POST", f"{PAGE}/start", FILL_IN, 302, form={"intent": "Changed"}),
    Door("POST", f"{PAGE}/log", FILL_IN, 302, form={"started_at": "2025-01-01T10:00", "ended_at": "2025-01-01T11:00"}),
    Door("POST", f"{SESSION_PAGE}/stop", FILL_IN, 302, form={}),
    Door("POST", f"{SESSION_PAGE}/end", FILL_IN, 302, form={"ended_at": "2025-03-01T10:00"}),
    Door("POST", f"{SESSION_PAGE}/notes", FILL_IN, 302, form={"notes": "Changed", "version": "{version}"}),
    Door("POST", f"{SESSION_PAGE}/append", FILL_IN, 302, form={"text": "Changed", "client_id": "one"}),
    Door("POST", f"{SESSION_PAGE}/details", FILL_IN, 302, form={"intent": "Changed", "version": "{version}"}),
]
DOORS = [*API, *PAGES]


@dataclass(frozen=True)
class Stage:
    """A repo with a live session, and everybody in a browser of their own."""

    repo: Repo
    session: RecordingSession
    collaborator: User
    browsers: dict[str, Client]

    def path(self, door: Door) -> str:
        """Where the door is in this repo."""
        return door.path.format(
            repo_id=self.repo.repo_id,
            session_id=self.session.session_id,
            user_id=self.collaborator.pk,
            owner=self.repo.owner.username,
            slug=self.repo.slug,
        )

    def ask(self, who: str, door: Door) -> Any:
        """The answer to one of them at this door."""
        browser = self.browsers[who]
        if door.form is None:
            return send(browser, door.method, self.path(door), door.body)
        self.session.refresh_from_db()
        fields = {name: value.format(version=self.session.version) for name, value in door.form.items()}
        return browser.post(self.path(door), fields)

    def stored(self) -> list[object]:
        """All that somebody could have changed."""
        models = (Repo, RecordingSession, Collaborator, Activity, FeedAddress)
        return [list(model._default_manager.order_by("pk").values()) for model in models]


@pytest.fixture
def stage(
    visibility: str,
    alice: User,
    bob: User,
    carol: User,
    root: User,
    repo: Repo,
    private_repo: Repo,
    browser_of: BrowserOf,
) -> Stage:
    tried = repo if visibility == "public" else private_repo
    session, _ = recorder.start(tried, alice, started_at=NINE, notes="Canary")
    people = {"stranger": bob, "operator": root, "collaborator": carol, "owner": alice}
    browsers = {"nobody": Client()} | {who: browser_of(user) for who, user in people.items()}
    return Stage(tried, session, carol, browsers)


@pytest.mark.parametrize("visibility", ["public", "private"])
@pytest.mark.parametrize("door", DOORS, ids=str)
def test_each_door_opens_to_whom_it_should_and_to_nobody_else(door: Door, visibility: str, stage: Stage) -> None:
    for who, refusal in zip(EVERYBODY, door.rule[visibility], strict=True):
        before = stage.stored()
        response = stage.ask(who, door)
        assert response.status_code == (refusal or door.status), who
        if refusal:
            assert stage.stored() == before, who
            assert b"Canary" not in response.content
        if refusal == 401:
            assert response.headers["WWW-Authenticate"]
        if refusal == 302:
            assert response.headers["Location"].startswith("/login?next=")


def test_the_table_has_every_page_of_a_repo() -> None:
    routes = {str(pattern.pattern) for pattern in urlpatterns}
    tried = {re.sub(r"{(\w+)}", r"\1", door.path)[1:] for door in PAGES}
    assert tried == {re.sub(r"<\w+:(\w+)>", r"\1", route) for route in routes if "<slug:owner>" in route}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("visibility", ["public", "private"])
async def test_the_socket_opens_to_whom_it_should_and_to_nobody_else(visibility: str, stage: Stage) -> None:
    for who, refusal in zip(EVERYBODY, FOLLOW[visibility], strict=True):
        cookies = stage.browsers[who].cookies.output(header="", sep=";").strip()
        socket = Socket(f"/ws/studio/{stage.repo.repo_id}/", {"Origin": OURS, "Cookie": cookies})
        assert await socket.open()
        if refusal:
            assert await socket.code() == refusal, who
        else:
            assert (await socket.next())["type"] == "studio.snapshot", who
        await socket.close()


def test_the_table_has_every_route_of_the_api() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {str(door) for door in API} == {route for route in routes if re.search(r" /api/repos/", route)}


@pytest.mark.parametrize("visibility", ["private"])
def test_somebody_elses_private_repo_looks_like_one_that_is_not_there(stage: Stage) -> None:
    for who in ("stranger", "operator"):
        browser = stage.browsers[who]
        for door in API:
            theirs = send(browser, door.method, stage.path(door), door.body)
            missing = send(browser, door.method, door.path.format(repo_id="x", session_id="x", user_id=1), door.body)
            assert (
                (theirs.status_code, theirs.content) == (missing.status_code, missing.content) == (404, theirs.content)
            )


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_an_unsafe_request_by_cookie_needs_its_csrf_token(stage: Stage, alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    stage.browsers["owner"] = browser
    for door in DOORS:
        if door.method != "GET":
            before = stage.stored()
            assert stage.ask("owner", door).status_code == 403
            assert stage.stored() == before
