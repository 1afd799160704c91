"""The search page, and conversations opened at a message: what alice is shown, and what bob is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.conversations import engine
from apps.conversations.excerpt import AROUND
from apps.conversations.models import Conversation, Message
from apps.conversations.views import ABOVE_TARGET, FARTHEST_BELOW, MESSAGES_A_PAGE
from tests.conversations.test_pages import articles, exchange, find, html_of, texts

BrowserOf = Callable[[User], Client]


@pytest.fixture
def browser(alice: User, browser_of: BrowserOf) -> Client:
    return browser_of(alice)


@pytest.fixture
def strangers_browser(bob: User, browser_of: BrowserOf) -> Client:
    return browser_of(bob)


def search(browser: Client, **query: str) -> str:
    return html_of(browser, f"/search?{urlencode(query)}")


def results(html: str) -> list[str]:
    """Where each result leads, in order."""
    return [each["href"] for each in find(html, "a", class_="to")]


def place_of(message: Message) -> str:
    return f"/c/{message.conversation_id}?at={message.pk}#message-{message.pk}"


def chain(conversation: Conversation, length: int) -> list[Message]:
    """A branch of so many messages, without asking a model."""
    messages: list[Message] = []
    for number in range(length):
        above = messages[-1] if messages else None
        role = "assistant" if number % 2 else "user"
        messages.append(conversation.messages.create(role=role, content=f"Word {number}.", parent=above))
    conversation.show(messages[-1])
    return messages


def test_results_lead_to_their_message_with_the_hit_marked(
    alice: User, browser: Client, strangers_browser: Client
) -> None:
    conversation = Conversation.objects.create(owner=alice, title="Repairs")
    answer = exchange(conversation, "Who?", "A luthier mends <i>violins</i>.")

    html = search(browser, q="violin")
    assert results(html) == [place_of(answer)]
    assert texts(html, "mark") == ["violins"]
    assert "A luthier mends &lt;i&gt;<mark>violins</mark>&lt;/i&gt;." in html
    assert "Repairs" in texts(html, "a", class_="to")
    assert "Assistant ·" in html
    assert results(search(strangers_browser, q="violin")) == []


def test_a_title_leads_to_its_conversation(alice: User, browser: Client) -> None:
    conversation = Conversation.objects.create(owner=alice, title="Lighthouses & keepers")
    html = search(browser, q="lighthouse")
    assert results(html) == [f"/c/{conversation.pk}"]
    assert "<mark>Lighthouses</mark> &amp; keepers" in html


def test_what_was_typed_stands_in_the_field_and_harms_nothing(browser: Client) -> None:
    hostile = '"><script>alert(1)</script> is:pinned'
    html = search(browser, q=hostile)
    assert find(html, "input", id="q")[0]["value"] == hostile
    assert "<script>alert" not in html


def test_controls_narrow_as_typed_filters_do(alice: User, browser: Client) -> None:
    conversation = Conversation.objects.create(owner=alice, title="Talk", pinned=True)
    answer = exchange(conversation, "Is tea good?", "Tea is good.")
    question = answer.parent
    assert question is not None
    Message.objects.filter(pk=answer.pk).update(created_at=datetime(2026, 1, 15, 12, tzinfo=UTC))

    assert set(results(search(browser, q="tea"))) == {place_of(question), place_of(answer)}
    for narrowed in ({"from": "assistant"}, {"before": "2026-01-16"}):
        assert results(search(browser, q="tea", **narrowed)) == [place_of(answer)]
    assert results(search(browser, q="tea", after="2026-01-16")) == [place_of(question)]
    assert results(search(browser, q="tea", pinned="false")) == results(search(browser, q="tea", archived="true")) == []
    assert results(search(browser, q="tea", **{"in": "title"})) == []


def test_a_typed_filter_outdoes_its_control(alice: User, browser: Client) -> None:
    answer = exchange(Conversation.objects.create(owner=alice), "Tea?", "Tea.")
    assert results(search(browser, q="tea from:assistant", **{"from": "me"})) == [place_of(answer)]


def test_chosen_controls_stay_chosen_and_in_sight(browser: Client) -> None:
    html = search(browser, q="tea", **{"from": "me", "before": "2026-01-31"})
    assert {"me"} == {each["value"] for each in find(html, "option") if "selected" in each.attributes}
    assert find(html, "input", name="before")[0]["value"] == "2026-01-31"
    assert "open" in find(html, "details", class_="filters")[0].attributes
    assert "open" not in find(search(browser, q="tea"), "details", class_="filters")[0].attributes


def test_every_state_says_what_to_do(browser: Client) -> None:
    assert "type a few words" in search(browser)
    assert "Type a word" in search(browser, **{"from": "me"})
    nothing = search(browser, q="zyzzogeton")
    assert "Nothing was found." in nothing
    assert "look without filters" not in nothing
    assert find(search(browser, q="zyzzogeton from:me"), "a", href="/search?q=zyzzogeton")


def test_while_typing_the_results_alone_are_sent(alice: User, browser: Client) -> None:
    answer = exchange(Conversation.objects.create(owner=alice), "Who?", "A luthier.")
    part = browser.get("/search?q=luthier", headers={"HX-Request": "true", "HX-Target": "found"}).content.decode()
    assert part.lstrip().startswith('<div id="found">')
    assert results(part) == [place_of(answer)]


def test_whoever_is_not_signed_in_is_sent_to_sign_in(client: Client, db: None) -> None:
    response = client.get("/search?q=tea")
    assert (response.status_code, response["Location"]) == (302, "/login?next=/search%3Fq%3Dtea")


def test_every_page_leads_to_search(browser: Client) -> None:
    assert find(html_of(browser, "/"), "a", href="/search")[0]["aria-keyshortcuts"] == "Control+K Meta+K"


# --- At a message


def test_a_message_further_up_is_on_the_page_that_opens_at_it(alice: User, browser: Client) -> None:
    conversation = Conversation.objects.create(owner=alice)
    chained = chain(conversation, 3 * MESSAGES_A_PAGE)
    target = chained[30]
    html = html_of(browser, place_of(target).partition("#")[0])
    assert articles(html) == [each.pk for each in chained[30 - ABOVE_TARGET :]]
    assert find(html, "article", id=f"message-{target.pk}")
    assert find(html, "gantry-conversation")  # the page goes on as ever


def test_a_message_near_the_end_changes_nothing(alice: User, browser: Client) -> None:
    conversation = Conversation.objects.create(owner=alice)
    chained = chain(conversation, MESSAGES_A_PAGE + 10)
    plain = articles(html_of(browser, f"/c/{conversation.pk}"))
    assert articles(html_of(browser, f"/c/{conversation.pk}?at={chained[-2].pk}")) == plain


def test_a_message_very_far_up_is_shown_among_its_neighbours(alice: User, browser: Client) -> None:
    conversation = Conversation.objects.create(owner=alice)
    chained = chain(conversation, FARTHEST_BELOW + 2 * AROUND + 10)
    target = chained[AROUND + 3]
    html = html_of(browser, f"/c/{conversation.pk}?at={target.pk}")
    around = chained[3 : 2 * AROUND + 4]
    assert articles(html) == [each.pk for each in around]
    assert find(html, "a", href=place_of(around[0]))
    assert find(html, "a", href=place_of(around[-1]))
    assert find(html, "a", class_="quiet", href=f"/c/{conversation.pk}")
    assert not find(html, "form", class_="bare composer")
    assert not find(html, "button", data_action="continue")


def test_the_first_message_has_nothing_above_it(alice: User, browser: Client) -> None:
    conversation = Conversation.objects.create(owner=alice)
    chained = chain(conversation, FARTHEST_BELOW + 10)
    html = html_of(browser, f"/c/{conversation.pk}?at={chained[0].pk}")
    assert articles(html) == [each.pk for each in chained[: AROUND + 1]]
    assert "Earlier messages" not in html


def test_a_message_of_another_branch_is_shown_without_switching_to_it(alice: User, browser: Client) -> None:
    conversation = Conversation.objects.create(owner=alice)
    beginning = exchange(conversation, "Which tea?", "Oolong.")
    left = exchange(conversation, "With cake?", "Darjeeling.")
    assert left.parent is not None
    turn = engine.edit(left.parent, content="With bread?")
    turn.reply.finish(Message.Status.COMPLETE, content="Assam.")
    conversation.refresh_from_db()
    before = conversation.head_id

    html = html_of(browser, f"/c/{conversation.pk}?at={left.pk}")
    assert articles(html) == [beginning.parent_id, beginning.pk, left.parent_id, left.pk]
    assert find(html, "button", data_action="continue")
    assert find(html, "gantry-excerpt")[0]["data-message"] == str(left.pk)
    conversation.refresh_from_db()
    assert conversation.head_id == before
    assert articles(html_of(browser, f"/c/{conversation.pk}"))[-1] == turn.reply.pk


def test_what_is_no_message_of_the_conversation_opens_it_as_ever(alice: User, browser: Client) -> None:
    conversation = Conversation.objects.create(owner=alice)
    answer = exchange(conversation)
    elsewhere = exchange(Conversation.objects.create(owner=alice), "Elsewhere?", "Elsewhere.")
    html = html_of(browser, f"/c/{conversation.pk}?at={elsewhere.pk}")
    assert articles(html) == [answer.parent_id, answer.pk]


def test_a_stranger_opens_nothing_at_any_message(alice: User, strangers_browser: Client) -> None:
    answer = exchange(Conversation.objects.create(owner=alice))
    assert strangers_browser.get(place_of(answer)).status_code == 404
