"""/api/memory: what is remembered is listed, searched, forgotten and put right by whoever said it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.conversations.models import Conversation
from apps.memory.models import Entity, ForgottenVector, MemorySetting, Recollection, Relation
from tests.memory.said import conversation_id, entity, know, message_id, say, talk

MEMORY = "/api/memory"


@pytest.fixture
def browser(alice: User, browser_of: Callable[[User], Client]) -> Client:
    """Alice's."""
    return browser_of(alice)


def patch(client: Client, path: str, body: Any) -> Any:
    return client.patch(path, json.dumps(body), "application/json")


def texts(answer: Any) -> list[str]:
    return [memory["text"] for memory in answer.json()["memories"]]


# --- The list


def test_what_was_said_is_listed_with_where_and_when(alice: User, browser: Client) -> None:
    said = say(alice, "The cello is in Basel.", talk(alice, "Strings"))
    (memory,) = browser.get(MEMORY).json()["memories"]
    source = {"conversation_id": conversation_id(said), "message_id": message_id(said), "title": "Strings"}
    assert datetime.fromisoformat(memory.pop("created_at")) == said.said_at
    assert memory == {"id": said.pk, "text": "The cello is in Basel.", "source": source, "embedded": False}


def test_a_memory_with_a_vector_says_so(alice: User, browser: Client) -> None:
    say(alice, "The cello is in Basel.")
    Recollection.objects.update(embedder="some")
    assert browser.get(MEMORY).json()["memories"][0]["embedded"] is True


def test_parts_of_the_list_go_on_from_each_other_newest_first(alice: User, browser: Client) -> None:
    for number in range(5):
        say(alice, f"Take {number}")
    first = browser.get(f"{MEMORY}?limit=2")
    assert texts(first) == ["Take 4", "Take 3"]
    say(alice, "Take 5")  # moves nothing
    Recollection.objects.filter(text="Take 3").delete()
    second = browser.get(f"{MEMORY}?limit=2&before={first.json()['next']}")
    assert texts(second) == ["Take 2", "Take 1"]
    last = browser.get(f"{MEMORY}?limit=2&before={second.json()['next']}").json()
    assert ([memory["text"] for memory in last["memories"]], last["total"], last["next"]) == (["Take 0"], 5, None)


def test_a_search_finds_by_words_and_says_how_well_it_fits(alice: User, browser: Client) -> None:
    say(alice, "Anna plays the cello in the string quartet.")
    say(alice, "The rent of the rehearsal room is due on Monday.")
    found = browser.get(f"{MEMORY}?q=cello").json()
    assert [memory["text"] for memory in found["memories"]] == ["Anna plays the cello in the string quartet."]
    assert 0 < found["memories"][0]["score"] <= 1
    assert (found["total"], found["next"]) == (1, None)
    assert browser.get(f"{MEMORY}?q=xyzzyplugh").json() == {"memories": [], "total": 0, "next": None}


def test_a_search_finds_no_neighbours_of_what_fits_and_each_that_holds_a_word(alice: User, browser: Client) -> None:
    within = talk(alice)
    for text in ("Where is the zither?", "Under the bed.", "A cello, a harp, a lute, a lyre, a viola, a flute"):
        say(alice, text, within)
    assert texts(browser.get(f"{MEMORY}?q=zither")) == ["Where is the zither?"]
    found = browser.get(f"{MEMORY}?q=zither%20xyzzy%20plugh%20frotz%20flute").json()
    assert {memory["text"][:7] for memory in found["memories"]} == {"Where i", "A cello"}
    assert all(0 <= memory["score"] <= 1 for memory in found["memories"])
    assert len(browser.get(f"{MEMORY}?q=zither%20flute&limit=1").json()["memories"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "before=0",
        "before=x",
        f"before={2**63}",
        f"q={'x' * 1001}",
        "q=%00",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(query: str, browser: Client) -> None:
    answer = browser.get(f"{MEMORY}?{query}")
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {query.partition("=")[0]}


@pytest.mark.parametrize("query", ["q=", "q=%20", "limit=200", f"before={10**18 - 1}"])
def test_a_query_at_its_limits_is_taken(query: str, alice: User, browser: Client) -> None:
    say(alice, "Yes")
    assert texts(browser.get(f"{MEMORY}?{query}")) == ["Yes"]


# --- Forgetting


def test_one_is_forgotten_and_then_is_not_there(alice: User, browser: Client) -> None:
    said, other = say(alice, "Secret"), say(alice, "Other")
    assert browser.delete(f"{MEMORY}/{said.pk}").json() == {"forgotten": 1}
    assert texts(browser.get(MEMORY)) == [other.text]
    assert browser.delete(f"{MEMORY}/{said.pk}").status_code == 404


def test_facts_and_vectors_go_with_what_told_them(alice: User, browser: Client) -> None:
    said = say(alice, "Anna plays cello")
    know(said, "Anna", "plays", "cello")
    browser.delete(f"{MEMORY}/{said.pk}")
    assert not Relation.objects.exists()
    assert not Entity.objects.exists()
    assert ForgottenVector.objects.get().recollection_id == said.pk


def test_a_conversation_is_forgotten_and_stays(alice: User, bob: User, browser: Client) -> None:
    within = talk(alice)
    for text in ("One", "Two"):
        say(alice, text, within)
    kept, theirs = say(alice, "Three"), say(bob, "Four")
    path = f"{MEMORY}?conversation_id={within.pk}"
    assert browser.delete(path).json() == {"forgotten": 2}
    assert browser.delete(path).json() == {"forgotten": 0}
    assert {*Recollection.objects.all()} == {kept, theirs}
    assert Conversation.objects.filter(pk=within.pk).exists()


def test_somebody_elses_conversation_is_not_forgotten(bob: User, browser: Client) -> None:
    said = say(bob, "Theirs")
    theirs = browser.delete(f"{MEMORY}?conversation_id={conversation_id(said)}")
    missing = browser.delete(f"{MEMORY}?conversation_id={10**18 - 1}")
    assert (theirs.status_code, theirs.content) == (missing.status_code, missing.content) == (200, b'{"forgotten":0}')
    assert Recollection.objects.get() == said


def test_everything_is_forgotten_of_one_person_alone(alice: User, bob: User, browser: Client) -> None:
    say(alice, "One")
    say(alice, "Two")
    theirs = say(bob, "Theirs")
    assert browser.delete(f"{MEMORY}?all=true").json() == {"forgotten": 2}
    assert Recollection.objects.get() == theirs


@pytest.mark.parametrize(
    "query", ["", "all=false", "all=1", "all=", "conversation_id=", "conversation_id=x", "all=true&conversation_id=1"]
)
def test_nothing_is_forgotten_unless_it_is_said_what(query: str, alice: User, browser: Client) -> None:
    say(alice, "Kept")
    answer = browser.delete(f"{MEMORY}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert Recollection.objects.count() == 1


# --- On and off


def test_memory_is_on_until_it_is_switched_off(alice: User, bob: User, browser: Client) -> None:
    assert browser.get(f"{MEMORY}/settings").json() == {"enabled": True}
    assert patch(browser, f"{MEMORY}/settings", {"enabled": False}).json() == {"enabled": False}
    assert browser.get(f"{MEMORY}/settings").json() == {"enabled": False}
    assert MemorySetting.is_enabled_for(bob.pk)
    assert patch(browser, f"{MEMORY}/settings", {"other": 1}).json() == {"enabled": False}
    assert patch(browser, f"{MEMORY}/settings", {"enabled": True}).json() == {"enabled": True}


@pytest.mark.parametrize("value", ["true", 1, None, []])
def test_the_switch_takes_nothing_but_a_truth_value(value: object, browser: Client) -> None:
    answer = patch(browser, f"{MEMORY}/settings", {"enabled": value})
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {"enabled"})
    assert browser.get(f"{MEMORY}/settings").json() == {"enabled": True}


# --- The graph


@pytest.fixture
def band(alice: User) -> Recollection:
    """Anna plays cello, Ben plays cello, Ben lives in Basel."""
    said = say(alice, "Anna and Ben play the cello; Ben lives in Basel.", talk(alice, "The band"))
    know(said, "Anna", "plays", "cello")
    know(said, "Ben", "plays", "cello")
    know(said, "Ben", "lives in", "Basel", "place")
    return said


def test_the_graph_has_entities_and_facts_with_their_source(alice: User, browser: Client, band: Recollection) -> None:
    graph = browser.get(f"{MEMORY}/graph").json()
    ids = {each["name"]: each["id"] for each in graph["entities"]}
    assert {(each["name"], each["kind"], each["mentions"]) for each in graph["entities"]} == {
        ("Anna", "person", 1),
        ("Ben", "person", 1),
        ("cello", "music", 1),
        ("Basel", "place", 1),
    }
    assert {(each["subject"], each["predicate"], each["object"]) for each in graph["relations"]} == {
        (ids["Anna"], "plays", ids["cello"]),
        (ids["Ben"], "plays", ids["cello"]),
        (ids["Ben"], "lives in", ids["Basel"]),
    }
    source = {"conversation_id": conversation_id(band), "message_id": message_id(band), "title": "The band"}
    assert all(each["source"] == source for each in graph["relations"])
    assert (graph["entities_total"], graph["relations_total"]) == (4, 3)


def test_an_entity_comes_with_what_is_so_many_facts_away(alice: User, browser: Client, band: Recollection) -> None:
    anna = entity(alice, "Anna")
    near = browser.get(f"{MEMORY}/entities/{anna.pk}").json()
    assert near["entity"] == {"id": anna.pk, "name": "Anna", "kind": "person", "mentions": 1}
    assert [(each["name"], each["hop"]) for each in near["entities"]] == [("cello", 1)]
    assert [(each["predicate"], each["source"]["title"]) for each in near["relations"]] == [("plays", "The band")]
    far = browser.get(f"{MEMORY}/entities/{anna.pk}?hops=3").json()
    assert {each["name"]: each["hop"] for each in far["entities"]} == {"cello": 1, "Ben": 2, "Basel": 3}
    assert len(far["relations"]) == 3
    for hops in ("0", "5", "x"):
        assert browser.get(f"{MEMORY}/entities/{anna.pk}?hops={hops}").status_code == 422


def test_an_entity_is_renamed(alice: User, browser: Client, band: Recollection) -> None:
    anna = entity(alice, "Anna")
    answer = patch(browser, f"{MEMORY}/entities/{anna.pk}", {"name": "Anna Berg"})
    assert answer.json() == {"id": anna.pk, "name": "Anna Berg", "kind": "person", "mentions": 1}
    for name in ("", " ", "x" * 201, 5, None, "a\0b"):
        assert patch(browser, f"{MEMORY}/entities/{anna.pk}", {"name": name}).status_code == 422, name
    assert entity(alice, "Anna Berg") == anna


def test_a_name_that_something_else_has_is_a_conflict(alice: User, browser: Client, band: Recollection) -> None:
    answer = patch(browser, f"{MEMORY}/entities/{entity(alice, 'Anna').pk}", {"name": "ben"})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert entity(alice, "Anna")


def test_two_entities_are_merged_and_the_other_one_stays(alice: User, browser: Client, band: Recollection) -> None:
    anna, ben = entity(alice, "Anna"), entity(alice, "Ben")
    answer = patch(browser, f"{MEMORY}/entities/{anna.pk}", {"merge_into": ben.pk, "name": "Anna-Ben"})
    assert (answer.status_code, answer.json()["id"], answer.json()["name"]) == (200, ben.pk, "Anna-Ben")
    assert browser.get(f"{MEMORY}/entities/{anna.pk}").status_code == 404
    assert patch(browser, f"{MEMORY}/entities/{ben.pk}", {"merge_into": ben.pk}).status_code == 422


def test_a_merge_that_cannot_be_renamed_does_not_happen(alice: User, browser: Client, band: Recollection) -> None:
    anna, ben = entity(alice, "Anna"), entity(alice, "Ben")
    body = {"merge_into": ben.pk, "name": "cello"}
    assert patch(browser, f"{MEMORY}/entities/{anna.pk}", body).status_code == 409
    assert {anna, ben} <= {*Entity.objects.all()}


def test_nothing_is_merged_with_what_is_somebody_elses(
    alice: User, bob: User, browser: Client, band: Recollection
) -> None:
    know(say(bob, "Bea plays drums"), "Bea", "plays", "drums")
    anna, bea = entity(alice, "Anna"), entity(bob, "Bea")
    theirs = patch(browser, f"{MEMORY}/entities/{anna.pk}", {"merge_into": bea.pk})
    missing = patch(browser, f"{MEMORY}/entities/{anna.pk}", {"merge_into": 2**63 - 1})
    assert (theirs.status_code, theirs.content) == (missing.status_code, missing.content) == (404, theirs.content)
    assert {anna, bea} <= {*Entity.objects.all()}


def test_an_entity_is_deleted_with_its_facts(alice: User, browser: Client, band: Recollection) -> None:
    ben = entity(alice, "Ben")
    assert browser.delete(f"{MEMORY}/entities/{ben.pk}").status_code == 204
    assert browser.delete(f"{MEMORY}/entities/{ben.pk}").status_code == 404
    assert [fact.predicate for fact in Relation.objects.all()] == ["plays"]
    assert Recollection.objects.get() == band
