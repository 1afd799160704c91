"""GET /api/chat/search: what alice finds of what was said, and what bob does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.conversations import engine
from apps.conversations.models import Conversation, Message
from apps.core import vectors
from apps.memory.outbox import Outbox

BrowserOf = Callable[[User], Client]
Status = Message.Status


@pytest.fixture
def browser(alice: User, browser_of: BrowserOf) -> Client:
    return browser_of(alice)


@pytest.fixture
def strangers_browser(bob: User, browser_of: BrowserOf) -> Client:
    return browser_of(bob)


def talk(owner: User, title: str = "Talk", **fields: object) -> Conversation:
    return Conversation.objects.create(owner=owner, title=title, **fields)


def say(conversation: Conversation, content: str, role: str = "user", **fields: object) -> Message:
    return conversation.messages.create(role=role, content=content, **fields)


def found(browser: Client, q: str, **query: object) -> list[dict[str, Any]]:
    response = browser.get("/api/chat/search", {"q": q, **query})
    assert response.status_code == 200, response.content
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def messages(browser: Client, q: str) -> set[int]:
    """The messages that are found."""
    return {each["message_id"] for each in found(browser, q) if each["message_id"]}


def test_a_message_is_found_by_its_words_and_told_whole(
    alice: User, browser: Client, strangers_browser: Client
) -> None:
    conversation = talk(alice, "Repairs")
    message = say(conversation, "The violins need new strings & <b>rosin</b>.", "assistant", status=Status.STOPPED)

    (result,) = found(browser, "violin string")
    assert 0 < result.pop("score") <= 1
    assert result == {
        "conversation_id": conversation.pk,
        "conversation_title": "Repairs",
        "message_id": message.pk,
        "message_snippet": "The <mark>violins</mark> need new <mark>strings</mark> &amp; &lt;b&gt;rosin&lt;/b&gt;.",
        "role": "assistant",
        "created_at": message.created_at.isoformat(),
        "match": "words",
    }
    assert found(strangers_browser, "violin string") == []


def test_the_beginning_of_the_last_word_is_enough(alice: User, browser: Client) -> None:
    message = say(talk(alice), "A harpsichord stood there.")
    assert messages(browser, "harpsi") == {message.pk}
    assert messages(browser, "sichord") == set()


def test_a_conversation_is_found_by_its_title(alice: User, browser: Client, strangers_browser: Client) -> None:
    conversation = talk(alice, "Lighthouse trip")

    (result,) = found(browser, "lighthouse")
    assert (result["conversation_id"], result["match"]) == (conversation.pk, "title")
    assert (result["message_id"], result["role"]) == (None, None)
    assert result["message_snippet"] == "<mark>Lighthouse</mark> trip"
    assert found(strangers_browser, "lighthouse") == []


def test_the_title_that_every_conversation_begins_with_is_not_found(alice: User, browser: Client) -> None:
    conversation = Conversation.objects.create(owner=alice)
    assert found(browser, "new conversation") == []
    conversation.change({"title": "A new conversation about tea"})
    assert [each["match"] for each in found(browser, "new conversation")] == ["title"]


def test_what_holds_all_the_words_comes_first(alice: User, browser: Client) -> None:
    conversation = talk(alice)
    one = say(conversation, "The kite is red.")
    both = say(conversation, "A red kite circled over the hill, and we watched it for a long time.")
    other = say(conversation, "Red wine, please.")
    results = [each["message_id"] for each in found(browser, "red kite circled")]
    assert results[0] == both.pk
    assert {one.pk, other.pk} >= set(results[1:])


def test_a_quoted_phrase_is_found_as_it_stands(alice: User, browser: Client) -> None:
    phrase = say(talk(alice), "We saw a red kite.")
    say(talk(alice), "The kite is red.")
    assert messages(browser, '"red kite"') == {phrase.pk}


@pytest.mark.parametrize("q", ["", "   ", "from:me", "in:title is:pinned", "...", '"', "()"])
def test_without_a_word_nothing_is_found(alice: User, browser: Client, q: str) -> None:
    say(talk(alice), "Anything.")
    assert found(browser, q) == []


@pytest.mark.parametrize(
    "q",
    [
        'kite"',
        "kite AND",
        "kite OR (",
        "NEAR(kite",
        "kite* ^kite -kite",
        "content:kite",
        "kite'; DROP TABLE x",
        "kite \x00",
        "kite \ud7ff 🪁 %s",
        "before:kite after:2026-13-45",
        "before:0001-01-01 after:9999-12-31 kite",
        "kite " * 3000,
        "is:kite from:kite in:kite",
    ],
)
def test_any_text_is_a_search(alice: User, browser: Client, q: str) -> None:
    kite = say(talk(alice), "A kite.")
    assert messages(browser, q) == {kite.pk}


def test_what_was_said_last_week_is_found_by_its_date(alice: User, browser: Client) -> None:
    def at(day: int) -> Message:
        return say(talk(alice), f"Tea on day {day}", created_at=datetime(2026, 1, day, 12, tzinfo=UTC))

    early, middle, late = at(10), at(20), at(30)
    assert messages(browser, "tea") == {early.pk, middle.pk, late.pk}
    assert messages(browser, "tea before:2026-01-20") == {early.pk}
    assert messages(browser, "tea after:2026-01-20") == {middle.pk, late.pk}
    assert messages(browser, "after:2026-01-20 tea before:2026-01-21") == {middle.pk}


def test_what_one_said_oneself_is_told_from_answers(alice: User, browser: Client) -> None:
    conversation = talk(alice, "About tea")
    mine, answer = say(conversation, "Is tea good?"), say(conversation, "Tea is good.", "assistant")
    assert messages(browser, "tea from:me") == {mine.pk}
    assert messages(browser, "tea from:assistant") == {answer.pk}
    assert {each["match"] for each in found(browser, "tea from:me")} == {"words"}  # nobody said the title


def test_titles_alone(alice: User, browser: Client) -> None:
    conversation = talk(alice, "About tea")
    say(conversation, "Tea?")
    assert {each["match"] for each in found(browser, "tea")} == {"title", "words"}
    assert [each["match"] for each in found(browser, "in:title tea")] == ["title"]


def test_pinned_and_archived_conversations_are_told_from_others(alice: User, browser: Client) -> None:
    plain = say(talk(alice), "Tea.")
    pinned = say(talk(alice, pinned=True), "Tea!")
    archived = say(talk(alice, archived=True), "Tea?")
    assert messages(browser, "tea") == {plain.pk, pinned.pk, archived.pk}
    assert messages(browser, "tea is:pinned") == messages(browser, "tea pinned:") == {pinned.pk}
    assert messages(browser, "tea pinned:false archived:false") == {plain.pk}
    assert messages(browser, "tea is:archived") == messages(browser, "tea archived:true") == {archived.pk}


def test_an_unknown_filter_is_a_word(alice: User, browser: Client) -> None:
    message = say(talk(alice), "The address is from:nowhere")
    say(talk(alice), "nowhere")
    assert messages(browser, '"from:nowhere"') == {message.pk}
    assert message.pk in messages(browser, "from:nowhere")


def test_a_temporary_chat_is_never_found(alice: User, browser: Client) -> None:
    temporary = talk(alice, "Secret tea", temporary=True)
    say(temporary, "Tea.")
    assert found(browser, "tea") == []


def test_a_long_temporary_chat_hides_nothing(alice: User, browser: Client) -> None:
    kept = say(talk(alice), "Tea for two.")
    temporary = talk(alice, temporary=True)
    for number in range(30):
        say(temporary, f"Tea {number}.")
    assert messages(browser, "tea") == {kept.pk}


def test_what_is_being_written_or_failed_is_not_found_until_it_is_there(alice: User, browser: Client) -> None:
    turn = engine.begin(talk(alice), content="Tea?")
    Message.objects.checkpoint({turn.reply.pk: ("Oolong", 1)})
    assert found(browser, "oolong") == []

    turn.reply.finish(Status.COMPLETE, content="Oolong is a tea.")
    assert messages(browser, "oolong") == {turn.reply.pk}


def test_a_reply_that_broke_off_is_found_by_what_was_kept_of_it(alice: User, browser: Client) -> None:
    turn = engine.begin(talk(alice), content="Tea?")
    turn.reply.finish(Status.INTERRUPTED, content="Oolong is", error_code="llm_cut")
    assert messages(browser, "oolong") == {turn.reply.pk}


def test_every_branch_is_found(alice: User, browser: Client) -> None:
    conversation = talk(alice)
    turn = engine.begin(conversation, content="Which tea?")
    turn.reply.finish(Status.COMPLETE, content="Oolong.")
    other = engine.edit(turn.question, content="Which tea, then?")
    other.reply.finish(Status.COMPLETE, content="Darjeeling.")
    assert messages(browser, "oolong") == {turn.reply.pk}
    assert messages(browser, "darjeeling") == {other.reply.pk}


def test_what_was_deleted_or_renamed_is_not_found(alice: User, browser: Client) -> None:
    conversation = talk(alice, "About tea")
    say(conversation, "Oolong.")
    conversation.change({"title": "About coffee"})
    assert found(browser, "tea") == []
    assert len(found(browser, "coffee")) == 1
    conversation.delete()
    assert found(browser, "coffee") == found(browser, "oolong") == []


def test_a_limit_is_kept_and_has_bounds(alice: User, browser: Client) -> None:
    conversation = talk(alice, "Tea")
    for number in range(30):
        say(conversation, f"Tea {number}")
    assert len(found(browser, "tea")) == 20
    assert len(found(browser, "tea", limit=3)) == 3
    assert len(found(browser, "tea", limit=100)) == 31
    for limit in ("0", "101", "-1", "many", "1.5"):
        assert browser.get("/api/chat/search", {"q": "tea", "limit": limit}).status_code == 422


def test_a_filter_looks_behind_the_newest_matches(alice: User, browser: Client) -> None:
    oldest = say(talk(alice, pinned=True), "Tea of old.")
    plain = talk(alice)
    Message.objects.bulk_create([Message(conversation=plain, role="user", content="Tea.") for _ in range(1500)])
    assert messages(browser, "tea is:pinned") == {oldest.pk}


def test_one_persons_many_matches_do_not_hide_anothers(
    alice: User, bob: User, browser: Client, strangers_browser: Client
) -> None:
    mine = say(talk(alice), "Tea of alice.")
    theirs = talk(bob, "Tea of bob")
    Message.objects.bulk_create([Message(conversation=theirs, role="user", content="Tea.") for _ in range(1500)])
    assert messages(browser, "tea") == {mine.pk}
    assert mine.pk not in messages(strangers_browser, "tea of alice")


def test_nobody_finds_anything(client: Client, db: None) -> None:
    assert client.get("/api/chat/search", {"q": "tea"}).status_code == 401


class TestMeaning:
    @pytest.fixture(autouse=True)
    def vectors_of_its_own(self, settings: Settings, tmp_path: Path) -> Iterator[None]:
        settings.DATA_DIR = tmp_path
        vectors.close()
        yield
        vectors.close()

    @pytest.fixture
    def remembered(self, alice: User) -> Message:
        turn = engine.begin(talk(alice, "Monday"), content="My car broke down on the motorway this morning.")
        turn.reply.finish(Status.COMPLETE, content="Sorry to hear that.")
        outbox = Outbox()
        while outbox.work():
            pass
        return turn.question

    def test_what_comes_close_in_meaning_is_found(
        self, remembered: Message, browser: Client, strangers_browser: Client
    ) -> None:
        (result,) = found(browser, "vehicle breakdown")
        assert (result["message_id"], result["match"]) == (remembered.pk, "meaning")
        assert result["message_snippet"] == remembered.content
        assert found(strangers_browser, "vehicle breakdown") == []

    def test_nonsense_finds_nothing(self, remembered: Message, browser: Client) -> None:
        assert found(browser, "xqzvbn wqxzjk") == []
        assert found(browser, "quarterly tax deduction ledger") == []

    def test_filters_hold_for_meaning_too(self, remembered: Message, browser: Client) -> None:
        for narrowed in ("from:assistant", "is:pinned", "before:2020-01-01", "in:title"):
            assert found(browser, f"vehicle breakdown {narrowed}") == []

    def test_a_message_found_both_ways_is_one_result(self, remembered: Message, browser: Client) -> None:
        (result,) = found(browser, "car broke down")
        assert (result["message_id"], result["match"]) == (remembered.pk, "words")
