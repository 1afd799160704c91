"""Memory's pages, as a browser without scripts sees and uses them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.memory import views
from apps.memory.models import Entity, MemorySetting, Recollection, Relation
from apps.memory.outbox import outbox
from tests.memory.said import conversation_id, entity, know, message_id, say, talk


@pytest.fixture
def browser(alice: User, browser_of: Callable[[User], Client]) -> Client:
    """Alice's."""
    return browser_of(alice)


def text_of(answer: Any) -> str:
    """What a page's main part says."""
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())


def said_on(answer: Any) -> list[str]:
    """The memories that it shows, in their order."""
    found = re.findall(r'<p class="said\b[^"]*">(.*?)</p>', answer.content.decode(), re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]*>", "", text)).split()) for text in found]


# --- What is remembered


def test_an_empty_memory_says_what_it_is_for(browser: Client) -> None:
    page = text_of(browser.get("/memory"))
    assert "Nothing is remembered yet." in page
    assert "Forget everything" not in page


def test_a_memory_is_shown_with_where_and_when_it_was_said(alice: User, browser: Client) -> None:
    said = say(alice, "The cello is <b>in</b> Basel & safe.", talk(alice, "Strings <i>"))
    page = browser.get("/memory")
    assert said_on(page) == ["The cello is <b>in</b> Basel & safe."]
    assert b"<b>in</b>" not in page.content
    origin = f"/c/{conversation_id(said)}?at={message_id(said)}#message-{message_id(said)}"
    assert f'<a href="{origin}"' in page.content.decode()
    assert f'<time datetime="{timezone.localtime(said.said_at).isoformat()}"' in page.content.decode()
    assert "Strings <i>" in text_of(page)
    assert browser.get(origin.partition("#")[0]).status_code == 200


def test_the_list_goes_on_from_page_to_page(alice: User, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MEMORIES_A_PAGE", 2)
    for number in range(5):
        say(alice, f"Take {number}")
    shown, path = [], "/memory"
    while path:
        page = browser.get(path)
        shown += said_on(page)
        more = re.search(r'href="(\?[^"]*before=\d+)"', page.content.decode())
        path = f"/memory{unescape(more[1])}" if more else ""
    assert shown == [f"Take {number}" for number in reversed(range(5))]


def test_a_search_shows_what_fits_and_says_when_nothing_does(alice: User, browser: Client) -> None:
    say(alice, "Anna plays the cello in the quartet.")
    say(alice, "The rent is due on Monday.")
    assert said_on(browser.get("/memory?q=cello")) == ["Anna plays the cello in the quartet."]
    page = browser.get("/memory?q=xyzzyplugh")
    assert said_on(page) == []
    assert "Nothing that is remembered fits." in text_of(page)
    assert browser.get(f"/memory?q={'x' * 201}").status_code == 200


def test_a_search_does_not_show_what_was_said_beside_what_fits(alice: User, browser: Client) -> None:
    within = talk(alice)
    for text in ("How far is the quilt?", "The edges are left, then it is finished.", "Dinner is at eight."):
        say(alice, text, within)
    page = browser.get("/memory?q=quilts")
    assert said_on(page) == ["How far is the quilt?"]
    assert "1 memory fits “quilts”, the best first." in text_of(page)


def test_what_one_conversation_left_is_shown_alone(alice: User, browser: Client) -> None:
    within = talk(alice)
    say(alice, "Here", within)
    say(alice, "Elsewhere")
    assert said_on(browser.get(f"/memory?conversation={within.pk}")) == ["Here"]


@pytest.mark.parametrize("query", ["before=x", "conversation=x", f"before={2**63}"])
def test_an_address_that_makes_no_sense_finds_nothing(query: str, browser: Client) -> None:
    assert browser.get(f"/memory?{query}").status_code == 404


# --- Forgetting


def test_forgetting_one_without_scripts_happens_at_once(alice: User, browser: Client) -> None:
    said, kept = say(alice, "Canarybird"), say(alice, "Kept")
    page = browser.get("/memory").content.decode()
    assert f'action="/memory/{said.pk}/forget"' in page
    done = browser.post(f"/memory/{said.pk}/forget", follow=True)
    assert "Forgotten." in text_of(done)
    assert Recollection.objects.get() == kept


def test_forgetting_a_conversation_takes_what_it_left_and_not_itself(alice: User, browser: Client) -> None:
    within = talk(alice, "Canarybird")
    for text in ("One", "Two"):
        say(alice, text, within)
    kept = say(alice, "Three")
    page = browser.get("/memory").content.decode()
    assert re.search(rf'name="conversation"\s+value="{within.pk}"', page)
    done = browser.post("/memory/forget-conversation", {"conversation": within.pk}, follow=True)
    assert "Forgotten: 2." in text_of(done)
    assert Recollection.objects.get() == kept
    assert browser.get(f"/c/{within.pk}").status_code == 200
    for value in (within.pk, "", "x", -1, 2**63):
        assert browser.post("/memory/forget-conversation", {"conversation": value}).status_code == 404


def test_forgetting_everything_is_asked_for_twice(alice: User, bob: User, browser: Client) -> None:
    say(alice, "One")
    say(alice, "Two")
    theirs = say(bob, "Theirs")
    page = browser.get("/memory").content.decode()
    form = page.index('action="/memory/forget-all"')
    assert page.index('popovertarget="forget-all"') < page.index('id="forget-all" class="card" popover') < form
    for name in re.findall(r'id="([^"]+)" class="card" popover', page):
        assert re.search(rf'popovertarget="{name}"\s+popovertargetaction="hide"\s+autofocus>Cancel<', page), name
    assert browser.get("/memory/forget-all").status_code == 405
    done = browser.post("/memory/forget-all", follow=True)
    assert "Everything is forgotten: 2." in text_of(done)
    assert Recollection.objects.get() == theirs


def test_no_cookie_or_session_keeps_what_was_forgotten(alice: User, browser: Client) -> None:
    said = say(alice, "Canarybird", talk(alice, "Canarybird"))
    know(said, "Canarybird", "plays", "cello")
    browser.post(f"/memory/entities/{entity(alice, 'Canarybird').pk}/delete")
    browser.post(f"/memory/{said.pk}/forget")
    assert "Canarybird" not in browser.cookies.output()


# --- How memory is


def test_memory_is_switched_off_and_on(alice: User, bob: User, browser: Client) -> None:
    assert "Memory is on." in text_of(browser.get("/memory"))
    done = text_of(browser.post("/memory/switch", {"enabled": "off"}, follow=True))
    assert "Nothing new is remembered" in done
    assert not MemorySetting.is_enabled_for(alice.pk)
    assert MemorySetting.is_enabled_for(bob.pk)
    for value in ("", "maybe"):
        assert browser.post("/memory/switch", {"enabled": value}).status_code == 404
    assert "Memory is on." in text_of(browser.post("/memory/switch", {"enabled": "on"}, follow=True))


def test_how_many_wait_for_their_vector_is_said(alice: User, browser: Client) -> None:
    first = say(alice, "One")
    assert "1 memory waits for its vector" in text_of(browser.get("/memory"))
    say(alice, "Two")
    assert "2 memories wait for their vectors" in text_of(browser.get("/memory"))
    Recollection.objects.exclude(pk=first.pk).update(embedder="some")
    assert text_of(browser.get("/memory")).count("waits for its vector") == 2  # in the note, and beside the memory
    Recollection.objects.update(embedder="some")
    assert "vector" not in text_of(browser.get("/memory"))


@pytest.fixture
def mismatch() -> Iterator[str]:
    """What the worker says when vectors were made by another embedder."""
    outbox().fault = "The vectors were made by one, not another: run `bin/gantry reembed`."
    yield outbox().fault
    outbox.cache_clear()


def test_a_fault_is_said_to_everybody_and_its_cause_to_operators(
    mismatch: str, browser: Client, root: User, browser_of: Callable[[User], Client]
) -> None:
    hers, operators = text_of(browser.get("/memory")), text_of(browser_of(root).get("/memory"))
    for page in (hers, operators):
        assert "Memory works by words alone right now." in page
    assert mismatch in operators
    assert mismatch not in hers


# --- The graph


@pytest.fixture
def band(alice: User) -> Recollection:
    """Anna plays cello, Ben plays cello, Ben lives in Basel."""
    said = say(alice, "Anna and Ben play the cello; Ben lives in Basel.", talk(alice, "The band"))
    know(said, "Anna", "plays", "cello")
    know(said, "Ben", "plays", "cello")
    know(said, "Ben", "lives in", "Basel", "place")
    return said


ALL_FACTS = ["Ben lives in Basel", "Ben plays cello", "Anna plays cello"]


def test_an_empty_graph_says_what_will_be_there(browser: Client) -> None:
    assert "Nobody and nothing yet." in text_of(browser.get("/memory/graph"))
    assert "No facts yet." in text_of(browser.get("/memory/entities"))


def test_the_graph_leads_to_every_entity_and_to_the_tables(alice: User, browser: Client, band: Recollection) -> None:
    page = browser.get("/memory/graph").content.decode()
    assert "<svg" in page
    for each in Entity.objects.all():
        assert f'href="/memory/entities/{each.pk}"' in page
    assert '<a href="/memory/entities">' in page


def test_the_tables_hold_what_the_graph_draws(alice: User, browser: Client, band: Recollection) -> None:
    page = text_of(browser.get("/memory/entities"))
    assert "4 names, 3 facts." in page
    for row in ("Basel Place 1", "Anna plays cello", "Ben plays cello", "Ben lives in Basel"):
        assert row in page


@pytest.mark.parametrize(
    ("query", "names", "facts"),
    [
        ("q=ann", ["Anna"], ["Anna plays cello"]),
        ("q=PLAYS", [], ["Ben plays cello", "Anna plays cello"]),
        ("kind=place", ["Basel"], ["Ben lives in Basel"]),
        ("q=b&kind=place", ["Basel"], ["Ben lives in Basel"]),
        ("q=zzz", [], []),
        (
            "kind=nonsense",
            ["Anna", "Basel", "Ben", "cello"],
            ["Ben lives in Basel", "Ben plays cello", "Anna plays cello"],
        ),
    ],
)
def test_the_tables_are_filtered(
    query: str, names: list[str], facts: list[str], browser: Client, band: Recollection
) -> None:
    page = browser.get(f"/memory/entities?{query}")
    assert [each.name for each in page.context["entities"].rows] == names
    told = [fact.relation for fact in page.context["facts"].rows]
    assert [f"{each.subject.name} {each.predicate} {each.object.name}" for each in told] == facts


def test_a_place_in_the_tables_that_is_no_name_is_their_beginning(browser: Client, band: Recollection) -> None:
    for place in ("%00", "%1f", "a" * 300):
        shown = browser.get(f"/memory/entities?after={place}").context["entities"].rows
        assert [each.name for each in shown] == ["Anna", "Basel", "Ben", "cello"]


def test_long_tables_go_on(browser: Client, band: Recollection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "ENTITIES_A_PAGE", 3)
    monkeypatch.setattr(views, "FACTS_A_PAGE", 2)
    page = browser.get("/memory/entities")
    first = {each.name for each in page.context["entities"].rows}
    rest = browser.get(f"/memory/entities{page.context['more_entities']}").context
    assert (first, [each.name for each in rest["entities"].rows]) == ({"Anna", "Basel", "Ben"}, ["cello"])
    assert rest["more_entities"] is None
    older = browser.get(f"/memory/entities{page.context['more_facts']}").context["facts"]
    assert len(older.rows) == 1


def test_an_entity_shows_its_facts_their_source_and_what_is_around_it(
    alice: User, browser: Client, band: Recollection
) -> None:
    path = f"/memory/entities/{entity(alice, 'Anna').pk}"
    near = browser.get(path)
    assert "Anna plays cello" in said_on(near)
    assert band.text in said_on(near)
    assert f"/c/{conversation_id(band)}?at={message_id(band)}#message-{message_id(band)}" in near.content.decode()
    assert [each["name"] for each in near.context["related"]] == ["cello"]
    far = browser.get(f"{path}?hops=3")
    assert [each["name"] for each in far.context["related"]] == ["cello", "Ben", "Basel"]
    for hops in ("5", "x", "-1"):
        assert browser.get(f"{path}?hops={hops}").status_code == 404


def test_an_entity_is_renamed_and_still_known_by_its_old_name(alice: User, browser: Client, band: Recollection) -> None:
    anna = entity(alice, "Anna")
    done = text_of(browser.post(f"/memory/entities/{anna.pk}/rename", {"name": "Anna Berg"}, follow=True))
    assert "The name is changed." in done
    assert "Anna Berg" in done
    assert "Also called Anna" in done
    for name in ("", " ", "x" * 201, "a\0b"):
        assert browser.post(f"/memory/entities/{anna.pk}/rename", {"name": name}).status_code == 422


def test_a_name_that_is_taken_offers_to_merge(alice: User, browser: Client, band: Recollection) -> None:
    anna, ben = entity(alice, "Anna"), entity(alice, "Ben")
    refused = browser.post(f"/memory/entities/{anna.pk}/rename", {"name": "ben"})
    assert refused.status_code == 409
    assert "Merge the two into “Ben”" in text_of(refused)
    merged = browser.post(f"/memory/entities/{anna.pk}/merge", {"into": "Ben"}, follow=True)
    assert merged.redirect_chain == [(f"/memory/entities/{ben.pk}", 302)]
    assert "Also called Anna" in text_of(merged)
    assert not Entity.objects.filter(pk=anna.pk).exists()


def test_merging_offers_what_there_is_and_takes_nothing_else(
    alice: User, bob: User, browser: Client, band: Recollection
) -> None:
    know(say(bob, "Bea plays drums"), "Bea", "plays", "drums")
    anna = entity(alice, "Anna")
    page = browser.get(f"/memory/entities/{anna.pk}").content.decode()
    assert set(re.findall(r'<option value="(\D[^"]*)"></option>', page)) == {"Ben", "cello", "Basel"}
    for into in ("Bea", "Anna", "", "x" * 201):
        answer = browser.post(f"/memory/entities/{anna.pk}/merge", {"into": into})
        assert answer.status_code == 422, into
    assert Entity.objects.count() == 6


def test_an_entity_is_deleted_with_its_facts_and_what_was_said_stays(
    alice: User, browser: Client, band: Recollection
) -> None:
    ben = entity(alice, "Ben")
    done = browser.post(f"/memory/entities/{ben.pk}/delete", follow=True)
    assert done.redirect_chain == [("/memory/graph", 302)]
    assert [fact.predicate for fact in Relation.objects.all()] == ["plays"]
    assert Recollection.objects.get() == band


# --- The ways there


def test_memory_is_reached_from_every_page_and_from_the_settings(browser: Client) -> None:
    for path in ("/", "/studio", "/settings"):
        page = browser.get(path).content.decode()
        assert 'href="/memory"' in page.partition("<main")[0], path
    assert 'href="/memory"' in browser.get("/settings").content.decode().partition("<main")[2]
