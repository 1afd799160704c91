"""Repos: opening, finding, changing, sharing and deleting them."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.identity import identity_id, repo_id
from apps.musehub.models import Activity, RecordingSession, Repo
from tests.musehub.conftest import BrowserOf, patch, path_of, path_to, post, send

REPOS = "/api/repos"


def test_a_repo_is_opened_with_its_owner_and_a_slug_from_its_name(browser: Client, alice: User) -> None:
    response = post(browser, REPOS, name="Night Songs", visibility="public", description="Quiet.", tags=["jazz"])
    assert response.status_code == 201
    made = response.json()
    stored = Repo.objects.get()
    assert made == {
        "repoId": repo_id(identity_id("alice"), "night-songs", "music", stored.created_at),
        "owner": "alice",
        "name": "Night Songs",
        "slug": "night-songs",
        "visibility": "public",
        "description": "Quiet.",
        "tags": ["jazz"],
        "createdAt": stored.created_at.isoformat(),
        "updatedAt": stored.created_at.isoformat(),
    }
    assert browser.get(path_of(stored)).json() == made


@pytest.mark.parametrize("name", ["夜の歌", "!!!", "Ü"])
def test_a_name_of_any_script_makes_a_slug(name: str, browser: Client) -> None:
    made = post(browser, REPOS, name=name, visibility="private").json()
    assert made["name"] == name
    assert made["slug"]


def test_a_second_repo_of_the_same_slug_is_refused_to_its_owner_and_not_to_others(
    browser: Client, bob: User, browser_of: BrowserOf, repo: Repo
) -> None:
    refused = post(browser, REPOS, name="night songs!", visibility="public")
    assert (refused.status_code, refused.json()["code"]) == (409, "repo_exists")
    assert post(browser_of(bob), REPOS, name="Night Songs", visibility="public").status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Night Songs"},
        {"visibility": "public"},
        {"name": "", "visibility": "public"},
        {"name": 5, "visibility": "public"},
        {"name": "x" * 101, "visibility": "public"},
        {"name": "a\x00b", "visibility": "public"},
        {"name": "Night Songs", "visibility": "secret"},
        {"name": "Night Songs", "visibility": "\ud800x"},
        {"name": "Night Songs", "visibility": "public", "tags": "jazz"},
        {"name": "Night Songs", "visibility": "public", "tags": [5]},
        {"name": "Night Songs", "visibility": "public", "tags": ["x"] * 51},
        {"name": "Night Songs", "visibility": "public", "description": None},
    ],
)
def test_what_does_not_fit_opens_no_repo(body: dict[str, object], browser: Client) -> None:
    response = post(browser, REPOS, **body)
    assert (response.status_code, bool(response.json()["errors"])) == (422, True)
    assert not Repo.objects.exists()


def names(client: Client, query: str = "") -> list[str]:
    listed = client.get(f"{REPOS}{query}").json()
    assert listed["total"] >= len(listed["repos"])
    return [each["name"] for each in listed["repos"]]


def test_one_lists_ones_own_repos_and_those_one_collaborates_on(
    repo: Repo, private_repo: Repo, alice: User, bob: User, carol: User, browser_of: BrowserOf
) -> None:
    assert names(browser_of(alice)) == names(browser_of(carol)) == ["Sketches", "Night Songs"]
    assert names(browser_of(alice), "?visibility=private") == ["Sketches"]
    assert names(browser_of(bob)) == []


def test_everybodys_public_repos_are_listed_to_anybody(
    repo: Repo, private_repo: Repo, bob: User, browser_of: BrowserOf
) -> None:
    for client in (Client(), browser_of(bob)):
        assert names(client, "?visibility=public") == ["Night Songs"]
    assert Client().get(REPOS).status_code == 401
    assert Client().get(f"{REPOS}?visibility=private").status_code == 401
    assert browser_of(bob).get(f"{REPOS}?visibility=both").status_code == 422


def test_a_repo_is_found_by_its_address_by_whoever_may_read_it(
    repo: Repo, private_repo: Repo, alice: User, bob: User, carol: User, browser_of: BrowserOf
) -> None:
    readers, stranger = (browser_of(alice), browser_of(carol)), browser_of(bob)
    for client in (*readers, stranger, Client()):
        found = client.get(f"{REPOS}?owner=alice&slug=night-songs").json()
        assert found == {"repos": [client.get(path_of(repo)).json()], "total": 1, "nextCursor": None}
    for client in readers:
        assert names(client, "?owner=alice&slug=sketches") == ["Sketches"]
        assert names(client, "?owner=alice&slug=sketches&visibility=public") == []
    for client in (stranger, Client()):
        assert client.get(f"{REPOS}?owner=alice&slug=sketches").json() == {"repos": [], "total": 0, "nextCursor": None}
    for query in ("?owner=bob&slug=night-songs", "?owner=alice&slug=night", "?owner=alice&slug=NIGHT-SONGS"):
        assert names(browser_of(alice), query) == []


@pytest.mark.parametrize("query", ["owner=alice", "slug=night-songs", "owner=alice&slug=a%00b", "owner=alice&slug="])
def test_what_is_no_address_of_a_repo_is_refused(query: str, browser: Client, repo: Repo) -> None:
    assert browser.get(f"{REPOS}?{query}").status_code == 422


def test_repos_come_in_pages(alice: User, browser: Client) -> None:
    for number in range(5):
        recorder.open_repo(alice, name=f"Repo {number}", visibility="private")
    seen, cursor = [], ""
    while cursor is not None:
        page = browser.get(f"{REPOS}?limit=2&cursor={cursor}").json()
        assert page["total"] == 5
        seen += [each["name"] for each in page["repos"]]
        cursor = page["nextCursor"]
    assert seen == [f"Repo {number}" for number in (4, 3, 2, 1, 0)]


def test_the_owner_changes_a_repo_and_its_slug_and_id_stay(repo: Repo, browser: Client) -> None:
    body = {"name": "Day Songs", "visibility": "private", "description": "Loud.", "tags": ["rock"]}
    changed = patch(browser, path_of(repo), {**body, "slug": "mine", "owner": "bob", "repoId": "x"})
    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in body} == body
    assert (changed.json()["slug"], changed.json()["owner"], changed.json()["repoId"]) == (
        "night-songs",
        "alice",
        repo.repo_id,
    )
    assert changed.json()["updatedAt"] > changed.json()["createdAt"]
    assert patch(browser, path_of(repo), {"visibility": "secret"}).status_code == 422


def test_a_repo_is_deleted_with_all_that_is_in_it(session: RecordingSession, browser: Client) -> None:
    assert browser.delete(path_of(session.repo)).status_code == 204
    assert browser.get(path_to(session)).status_code == 404
    for model in (Repo, RecordingSession, Activity):
        assert not model.objects.exists()


def test_an_owners_repos_go_with_the_account_and_what_a_guest_recorded_stays_under_their_name(
    repo: Repo, carol: User, alice: User, browser: Client
) -> None:
    kept = recorder.start(repo, carol)[0]
    carol.delete()
    assert browser.get(path_to(kept)).json()["author"] == "carol"
    assert "carol" in {event["actor"] for event in browser.get(path_of(repo, "activity")).json()["events"]}
    alice.delete()
    assert not Repo.objects.exists()
    assert not RecordingSession.objects.exists()


# --- Collaborators


def test_the_owner_lets_somebody_in_and_out_again(
    private_repo: Repo, bob: User, browser: Client, browser_of: BrowserOf
) -> None:
    path = path_of(private_repo, "collaborators", str(bob.pk))
    guest = browser_of(bob)
    assert post(guest, path_of(private_repo, "sessions")).status_code == 404

    let_in = send(browser, "PUT", path)
    assert let_in.status_code == 200
    assert let_in.json() == {
        "userId": bob.pk,
        "username": "bob",
        "displayName": "Bob",
        "addedAt": let_in.json()["addedAt"],
    }
    assert send(browser, "PUT", path).json() == let_in.json()
    listed = guest.get(path_of(private_repo, "collaborators")).json()["collaborators"]
    assert [each["username"] for each in listed] == ["carol", "bob"]
    assert post(guest, path_of(private_repo, "sessions")).status_code == 201

    assert browser.delete(path).status_code == 204
    assert post(guest, path_of(private_repo, "sessions")).status_code == 404
    assert browser.delete(path).status_code == 404


def test_nobody_is_let_in_who_is_not_there_or_is_the_owner(repo: Repo, alice: User, bob: User, browser: Client) -> None:
    bob.disable()
    for user_id in (999_999, bob.pk, 10**30):
        assert send(browser, "PUT", path_of(repo, "collaborators", str(user_id))).status_code == 404
        assert browser.delete(path_of(repo, "collaborators", str(user_id))).status_code == 404
    assert send(browser, "PUT", path_of(repo, "collaborators", str(alice.pk))).status_code == 422
