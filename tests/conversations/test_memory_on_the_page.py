"""What a conversation's page says of memory: what a reply was told, what memory kept back, on, off and temporary."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.conversations.engine.memories import source_of
from apps.conversations.models import Conversation, Message
from apps.memory.recall import forget
from tests.conversations.test_pages import Element, exchange, find, html_of, listed, texts

BrowserOf = Callable[[User], Client]


@pytest.fixture
def browser(alice: User, browser_of: BrowserOf) -> Client:
    return browser_of(alice)


@pytest.fixture
def strangers_browser(bob: User, browser_of: BrowserOf) -> Client:
    return browser_of(bob)


@pytest.fixture
def question(alice: User) -> Message:
    """Something that is remembered."""
    answer = exchange(Conversation.objects.create(owner=alice), "My cat is called <b>Mimi</b>.", "A fine name.")
    assert answer.parent is not None
    return answer.parent


def reply_told(alice: User, *message_ids: int, **fields: object) -> Message:
    """A reply, in a conversation of its own, that was told of these messages."""
    sources = [{"message_id": pk, "created_at": "2026-01-01T00:00:00+00:00", "score": 0.9} for pk in message_ids]
    return exchange(Conversation.objects.create(owner=alice), "Her name?", "Mimi.", sources=sources, **fields)


def sources_path(reply: Message) -> str:
    return f"/c/{reply.conversation_id}/messages/{reply.pk}/sources"


def page_of(browser: Client, message: Message) -> str:
    return html_of(browser, f"/c/{message.conversation_id}")


def lines(html: str, **attributes: str) -> list[Element]:
    """Those that are to be seen."""
    return [each for each in find(html, **attributes) if "hidden" not in each.attributes]


def test_a_reply_says_how_many_memories_it_was_told(alice: User, browser: Client, question: Message) -> None:
    one, two = reply_told(alice, question.pk), reply_told(alice, question.pk, question.pk + 1)
    assert texts(page_of(browser, one), "span", class_="count") == ["1 memory"]
    assert texts(page_of(browser, two), "span", class_="count") == ["2 memories"]
    assert lines(page_of(browser, one), tag="details", class_="sources")
    assert not lines(page_of(browser, question), tag="details", class_="sources")


def test_each_memory_says_who_when_and_where_and_leads_there(
    alice: User, browser: Client, strangers_browser: Client, question: Message
) -> None:
    reply = reply_told(alice, question.pk)
    html = html_of(browser, sources_path(reply))
    (link,) = find(html, "a", class_="to")
    assert link["href"] == f"/c/{question.conversation_id}?at={question.pk}#message-{question.pk}"
    assert link.text == "My cat is called <b>Mimi</b>."
    assert "You ·" in html
    assert find(html, "time")[0]["datetime"] == question.created_at.isoformat()
    assert texts(html, "p") == ["My cat is called <b>Mimi</b>."]
    assert strangers_browser.get(sources_path(reply)).status_code == 404


def test_a_long_memory_is_cut(alice: User, browser: Client) -> None:
    long = exchange(Conversation.objects.create(owner=alice), "word " * 500).parent
    assert long is not None
    (excerpt,) = texts(html_of(browser, sources_path(reply_told(alice, long.pk))), "p")
    assert 200 < len(excerpt) < 300


def test_what_was_forgotten_since_is_counted_and_not_told(alice: User, browser: Client, question: Message) -> None:
    other = exchange(Conversation.objects.create(owner=alice), "My dog is called Rex.").parent
    assert other is not None
    reply = reply_told(alice, question.pk, other.pk)
    forget(alice.pk, sources=[source_of(question.pk)])
    html = html_of(browser, sources_path(reply))
    assert "1 more is no longer remembered." in html
    assert texts(html, "a", class_="to") == ["My dog is called Rex."]
    assert "Mimi" not in html
    forget(alice.pk, sources=[source_of(other.pk)])
    assert "None of them is remembered any more." in html_of(browser, sources_path(reply))


def test_a_deleted_conversation_is_no_longer_told(alice: User, browser: Client, question: Message) -> None:
    reply = reply_told(alice, question.pk)
    question.conversation.delete()
    assert "It is no longer remembered." in html_of(browser, sources_path(reply))


def test_sources_of_somebody_else_are_not_told(
    alice: User, bob: User, strangers_browser: Client, question: Message
) -> None:
    """Whatever a row of bob's claims, alice's words stay hers."""
    reply = reply_told(bob, question.pk)
    html = html_of(strangers_browser, sources_path(reply))
    assert "Mimi" not in html
    assert "no longer remembered" in html


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("memory", "Memory did not answer in time; this reply was written without it."),
        ("graph", "The facts in memory did not answer in time; this reply was written without them."),
    ],
)
def test_a_reply_says_what_memory_kept_back(alice: User, browser: Client, missing: str, words: str) -> None:
    html = page_of(browser, reply_told(alice, degraded=[missing]))
    assert [each.text for each in lines(html, tag="p", class_="aside") if "data-degraded" in each.attributes] == [words]


def test_a_conversation_shows_whether_its_memory_is_off(alice: User, browser: Client) -> None:
    answer = exchange(Conversation.objects.create(owner=alice))
    assert find(page_of(browser, answer), "header", class_="topbar")[0]["data-memory"] == "true"
    answer.conversation.change({"memory": False})
    html = page_of(browser, answer)
    assert find(html, "header", class_="topbar")[0]["data-memory"] == "false"
    assert find(html, "li", class_="conversation")[0]["data-memory"] == "false"
    assert texts(html, "span", class_="sign memory-off") == ["Memory off"]


def test_a_temporary_chat_says_so_before_it_begins_and_after(alice: User, browser: Client) -> None:
    new = html_of(browser, "/?temporary")
    assert "data-temporary" in find(new, "gantry-conversation")[0].attributes
    assert "Temporary chat." in texts(new, "strong")
    assert not lines(new, tag="button", data_action="end")

    answer = exchange(Conversation.objects.create(owner=alice, temporary=True), "A secret?", "Kept.")
    html = page_of(browser, answer)
    assert "data-temporary" in find(html, "gantry-conversation")[0].attributes
    assert lines(html, tag="button", data_action="end")
    assert listed(html) == []

    plain = html_of(browser, "/")
    assert "data-temporary" not in find(plain, "gantry-conversation")[0].attributes
    assert find(plain, "a", href="/?temporary")
    assert "Temporary chat." not in texts(plain, "strong")
