"""Making, listing, reading, changing and deleting conversations, and how they get their titles."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.conversations import engine
from apps.conversations.models import Conversation, Message, title_from

CONVERSATIONS = "/api/chat/conversations"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

BrowserOf = Callable[[User], Client]


@pytest.fixture
def browser(alice: User, browser_of: BrowserOf) -> Client:
    return browser_of(alice)


@pytest.fixture
def strangers_browser(bob: User, browser_of: BrowserOf) -> Client:
    return browser_of(bob)


def exchange(conversation: Conversation, question: str, answer: str = "Well.", **options: str) -> engine.Turn:
    """A question and its finished answer, without asking a model."""
    turn = engine.begin(conversation, content=question, **options)
    turn.reply.finish(Message.Status.COMPLETE, content=answer)
    conversation.refresh_from_db()
    return turn


def ids_of(browser: Client, query: str = "") -> list[int]:
    return [each["id"] for each in browser.get(f"{CONVERSATIONS}{query}").json()]


# --- Making


def test_a_new_conversation_has_the_default_title(browser: Client, alice: User) -> None:
    response = browser.post(CONVERSATIONS)
    assert response.status_code == 200
    made = response.json()
    assert made == {
        "id": made["id"],
        "title": "New Conversation",
        "pinned": False,
        "archived": False,
        "model": None,
        "persona_id": None,
        "memory": True,
        "temporary": False,
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert Conversation.objects.get(pk=made["id"]).owner == alice


def test_a_new_conversation_may_begin_with_what_it_is_given(browser: Client) -> None:
    given = {"title": "Trip to Québec", "model": "llama", "memory": False, "temporary": True, "persona_id": None}
    made = browser.post(CONVERSATIONS, given, content_type="application/json").json()
    assert {name: made[name] for name in given} == given


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", CONVERSATIONS),
        ("get", CONVERSATIONS),
        ("get", f"{CONVERSATIONS}/1"),
        ("patch", f"{CONVERSATIONS}/1"),
        ("delete", f"{CONVERSATIONS}/1"),
        ("post", f"{CONVERSATIONS}/1/messages"),
        ("get", f"{CONVERSATIONS}/1/events"),
        ("post", f"{CONVERSATIONS}/1/stop"),
        ("post", f"{CONVERSATIONS}/1/head"),
        ("patch", "/api/chat/messages/1"),
        ("post", "/api/chat/messages/1/regenerate"),
    ],
)
def test_nobody_signed_in_is_told_so(method: str, path: str) -> None:
    response = getattr(Client(), method)(path)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"]
    assert response.json()["detail"]
    assert not Conversation.objects.exists()


def test_a_cookie_needs_its_csrf_token(alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.post(CONVERSATIONS).status_code == 403
    browser.cookies["csrftoken"] = token = "x" * 32
    assert browser.post(CONVERSATIONS, headers={"X-CSRFToken": "y" * 32}).status_code == 403
    assert browser.post(CONVERSATIONS, headers={"X-CSRFToken": token}).status_code == 200
    assert Conversation.objects.count() == 1


# --- Listing


def test_nobody_has_conversations_to_begin_with(browser: Client) -> None:
    assert browser.get(CONVERSATIONS).json() == []


def test_the_list_holds_ones_own_and_nobody_elses(browser: Client, strangers_browser: Client) -> None:
    mine = [browser.post(CONVERSATIONS).json()["id"] for _ in range(2)]
    theirs = strangers_browser.post(CONVERSATIONS).json()["id"]
    assert sorted(ids_of(browser)) == mine
    assert ids_of(strangers_browser) == [theirs]


def test_pinned_ones_come_first_and_then_the_newest_activity(browser: Client, alice: User) -> None:
    old, newer, newest = (Conversation.objects.create(owner=alice, title=title) for title in ("a", "b", "c"))
    assert ids_of(browser) == [newest.pk, newer.pk, old.pk]
    exchange(old, "Hello?")
    assert ids_of(browser) == [old.pk, newest.pk, newer.pk]
    newer.change({"pinned": True})
    assert ids_of(browser) == [newer.pk, old.pk, newest.pk]


def test_archived_ones_are_listed_apart(browser: Client, alice: User) -> None:
    open_one, archived = (Conversation.objects.create(owner=alice) for _ in range(2))
    archived.change({"archived": True})
    assert ids_of(browser) == [open_one.pk]
    assert ids_of(browser, "?archived=true") == [archived.pk]


def pages(browser: Client, query: str) -> list[list[int]]:
    """Every page, following the `Link` headers."""
    found = []
    address: str | None = f"http://testserver{CONVERSATIONS}{query}"
    while address is not None:
        response = browser.get(address.removeprefix("http://testserver"))
        found.append([each["id"] for each in response.json()])
        link = response.headers.get("Link")
        address = link.partition(">")[0].lstrip("<") if link else None
        assert link is None or link.endswith('; rel="next"')
    return found


def test_pages_follow_one_another_without_gap_or_repeat_even_when_times_are_equal(browser: Client, alice: User) -> None:
    rows = [
        Conversation(owner=alice, pinned=number % 3 == 0, updated_at=NOON + timedelta(seconds=number // 4))
        for number in range(20)
    ]
    Conversation.objects.bulk_create(rows)
    whole = ids_of(browser)
    assert len(whole) == 20
    assert pages(browser, "?limit=3") == [whole[start : start + 3] for start in range(0, 20, 3)]
    assert pages(browser, "?limit=5") == [whole[start : start + 5] for start in range(0, 20, 5)]


def test_a_page_of_archived_ones_is_followed_by_archived_ones(browser: Client, alice: User) -> None:
    Conversation.objects.create(owner=alice)
    archived = [Conversation.objects.create(owner=alice, archived=True).pk for _ in range(3)]
    assert pages(browser, "?archived=true&limit=2") == [archived[:0:-1], archived[:1]]


def test_fifty_come_on_a_page_unless_up_to_two_hundred_are_asked_for(browser: Client, alice: User) -> None:
    Conversation.objects.bulk_create(Conversation(owner=alice) for _ in range(201))
    assert len(ids_of(browser)) == 50
    assert len(ids_of(browser, "?limit=1")) == 1
    assert len(ids_of(browser, "?limit=200")) == 200


@pytest.mark.parametrize("limit", ["0", "201", "-1", "abc", "1.5", "1e2", "%D9%A3", "9" * 30, "9" * 5000])
def test_an_impossible_limit_is_refused(browser: Client, conversation: Conversation, limit: str) -> None:
    for path in (CONVERSATIONS, f"{CONVERSATIONS}/{conversation.pk}"):
        response = browser.get(f"{path}?limit={limit}")
        assert response.status_code == 422
        assert list(response.json()["errors"]) == ["limit"]


@pytest.mark.parametrize(
    "bogus",
    [
        "x",
        "%00",
        "%ED%A0%80",
        "~~",
        "0~2026-01-01T00:00:00%2B00:00",
        "0~yesterday~1",
        "0~2026-01-01T00:00:00~1",
        "0~2026-01-01T00:00:00%2B01:00~1",
        "0~0001-01-01T00:00:00%2B14:00~1",
        "0~2026-01-01T00:00:00%2B00:00~",
        "0~2026-01-01T00:00:00%2B00:00~-1",
        "0~2026-01-01T00:00:00%2B00:00~1e3",
        f"0~2026-01-01T00:00:00%2B00:00~{'7' * 20}",
        f"0~2026-01-01T00:00:00%2B00:00~{'7' * 5000}",
        "2~2026-01-01T00:00:00%2B00:00~1",
    ],
    ids=lambda bogus: bogus[:40],
)
def test_a_cursor_that_is_not_ours_is_refused(browser: Client, bogus: str) -> None:
    response = browser.get(f"{CONVERSATIONS}?cursor={bogus}")
    assert response.status_code == 422
    assert list(response.json()["errors"]) == ["cursor"]


def test_a_strangers_cursor_shows_ones_own_conversations_only(browser: Client, bob: User, alice: User) -> None:
    mine = Conversation.objects.create(owner=alice, updated_at=NOON)
    Conversation.objects.create(owner=bob, updated_at=NOON)
    place = "1~2027-01-01T00:00:00%2B00:00~1000000000"
    assert ids_of(browser, f"?cursor={place}") == [mine.pk]


# --- Reading


def test_a_conversation_is_read_with_its_messages_in_order(browser: Client, conversation: Conversation) -> None:
    exchange(conversation, "First?", "One.")
    exchange(conversation, "Second?", "Two.")
    read = browser.get(f"{CONVERSATIONS}/{conversation.pk}").json()
    assert read["conversation"]["id"] == conversation.pk
    assert [(each["role"], each["content"]) for each in read["messages"]] == [
        ("user", "First?"),
        ("assistant", "One."),
        ("user", "Second?"),
        ("assistant", "Two."),
    ]
    assert [each["parent_id"] for each in read["messages"]] == [None, *(each["id"] for each in read["messages"][:-1])]


def test_messages_are_ordered_by_the_database_and_not_by_the_clock(browser: Client, conversation: Conversation) -> None:
    turn = exchange(conversation, "First?")
    Message.objects.filter(pk=turn.question.pk).update(created_at=NOON + timedelta(days=10_000))
    exchange(conversation, "Second?")
    messages = browser.get(f"{CONVERSATIONS}/{conversation.pk}").json()["messages"]
    assert [each["content"] for each in messages] == ["First?", "Well.", "Second?", "Well."]


def test_a_conversation_without_messages_is_read_as_such(browser: Client, conversation: Conversation) -> None:
    assert browser.get(f"{CONVERSATIONS}/{conversation.pk}").json()["messages"] == []


def test_messages_are_paged_upward(browser: Client, conversation: Conversation) -> None:
    for number in range(3):
        exchange(conversation, f"{number}?")
    path = f"{CONVERSATIONS}/{conversation.pk}"
    whole = [each["id"] for each in browser.get(path).json()["messages"]]
    newest = [each["id"] for each in browser.get(f"{path}?limit=4").json()["messages"]]
    above = [each["id"] for each in browser.get(f"{path}?limit=4&before={newest[0]}").json()["messages"]]
    assert newest == whole[2:]
    assert above == whole[:2]
    assert browser.get(f"{path}?before={whole[0]}").json()["messages"] == []


@pytest.mark.parametrize("before", ["0", "-1", "abc", "9" * 20])
def test_an_impossible_place_to_page_from_is_refused(browser: Client, conversation: Conversation, before: str) -> None:
    assert browser.get(f"{CONVERSATIONS}/{conversation.pk}?before={before}").status_code == 422


# --- What is missing, or somebody else's


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "conversations/{conversation}", None),
        ("patch", "conversations/{conversation}", {"title": "Mine now"}),
        ("delete", "conversations/{conversation}", None),
        ("post", "conversations/{conversation}/messages", {"content": "Hello?"}),
        ("get", "conversations/{conversation}/events", None),
        ("post", "conversations/{conversation}/stop", {}),
        ("post", "conversations/{conversation}/head", {"message_id": 1}),
        ("patch", "messages/{message}", {"content": "Mine now"}),
        ("post", "messages/{message}/regenerate", {}),
    ],
)
def test_what_is_somebody_elses_looks_like_what_is_missing(
    browser: Client,
    strangers_browser: Client,
    conversation: Conversation,
    method: str,
    path: str,
    body: dict[str, object] | None,
) -> None:
    turn = exchange(conversation, "Canary?", "Canary!")
    before = list(Conversation.objects.values()), list(Message.objects.values())
    ours = {"conversation": conversation.pk, "message": turn.reply.pk}
    nothing = {"conversation": 99_999, "message": 99_999}

    def answer(asking: Client, ids: dict[str, int]) -> tuple[int, bytes, str]:
        content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        response = getattr(asking, method)(f"/api/chat/{path.format(**ids)}", **content)
        return response.status_code, response.content, response.headers["Content-Type"]

    theirs = answer(strangers_browser, ours)
    assert theirs == answer(strangers_browser, nothing) == answer(browser, nothing)
    assert theirs[0] == 404
    assert json.loads(theirs[1])["detail"] == "Not found."
    assert (list(Conversation.objects.values()), list(Message.objects.values())) == before


def test_somebody_elses_message_cannot_become_the_head_of_ones_own(
    strangers_browser: Client, bob: User, conversation: Conversation
) -> None:
    turn = exchange(conversation, "Canary?")
    own = Conversation.objects.create(owner=bob)
    response = strangers_browser.post(
        f"{CONVERSATIONS}/{own.pk}/head", {"message_id": turn.reply.pk}, content_type="application/json"
    )
    assert response.status_code == 404
    assert strangers_browser.get(f"{CONVERSATIONS}/{own.pk}").json()["messages"] == []


# --- Changing


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "Another name"),
        ("title", "漢" * 200),
        ("pinned", True),
        ("archived", True),
        ("model", "llama"),
        ("memory", False),
        ("persona_id", None),
    ],
)
def test_each_field_can_be_changed_and_nothing_else_moves(
    browser: Client, conversation: Conversation, field: str, value: object
) -> None:
    path = f"{CONVERSATIONS}/{conversation.pk}"
    before = browser.get(path).json()["conversation"]
    response = browser.patch(path, {field: value}, content_type="application/json")
    assert response.status_code == 200
    assert response.json() == {**before, field: value} == browser.get(path).json()["conversation"]


def test_a_model_can_be_unset(browser: Client, conversation: Conversation) -> None:
    path = f"{CONVERSATIONS}/{conversation.pk}"
    for nothing in (None, ""):
        browser.patch(path, {"model": "llama"}, content_type="application/json")
        assert browser.patch(path, {"model": nothing}, content_type="application/json").json()["model"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("title", value) for value in (5, True, None, [], {}, "", "   ", "x" * 201, "nul\0", "\ud800")),
        *(("pinned", value) for value in (1, 0, "true", "", None, [], {})),
        *(("archived", value) for value in ("yes", None, 2.5)),
        *(("memory", value) for value in ("no", None)),
        *(("model", value) for value in (5, False, [], {}, "x" * 201, "nul\0", "\ud800")),
        *(("persona_id", value) for value in ("1", True, 7, 10**30, 1.0, [])),
    ],
)
def test_a_value_of_another_type_is_refused_and_changes_nothing(
    browser: Client, conversation: Conversation, field: str, value: object
) -> None:
    path = f"{CONVERSATIONS}/{conversation.pk}"
    before = browser.get(path).json()
    response = browser.patch(path, {field: value, "unknown": 1}, content_type="application/json")
    assert response.status_code == 422
    assert list(response.json()["errors"]) == [field]
    assert response.json()["detail"].startswith(f"{field}: ")
    assert browser.get(path).json() == before


def test_fields_that_nobody_may_set_are_ignored(browser: Client, bob: User, conversation: Conversation) -> None:
    path = f"{CONVERSATIONS}/{conversation.pk}"
    before = browser.get(path).json()
    wish = {"id": 7, "owner": bob.pk, "owner_id": bob.pk, "temporary": True, "updated_at": "2030-01-01", "head": 1}
    assert browser.patch(path, wish, content_type="application/json").status_code == 200
    assert browser.get(path).json() == before
    made = browser.post(CONVERSATIONS, {**wish, "pinned": True, "title": "Mine"}, content_type="application/json")
    assert (made.status_code, made.json()["pinned"]) == (200, False)
    assert set(Conversation.objects.values_list("owner__email", flat=True)) == {"alice@example.org"}


def test_a_change_of_something_deleted_meanwhile_finds_nothing(browser: Client, conversation: Conversation) -> None:
    stale = Conversation.objects.get(pk=conversation.pk)
    conversation.delete()
    assert browser.patch(f"{CONVERSATIONS}/{stale.pk}", {}, content_type="application/json").status_code == 404


# --- Deleting


def test_a_conversation_is_deleted_with_all_that_was_said_in_it(browser: Client, conversation: Conversation) -> None:
    exchange(conversation, "Hello?")
    response = browser.delete(f"{CONVERSATIONS}/{conversation.pk}")
    assert response.status_code == 200
    assert response.json() == {"message": "Conversation deleted"}
    assert browser.get(f"{CONVERSATIONS}/{conversation.pk}").status_code == 404
    assert browser.delete(f"{CONVERSATIONS}/{conversation.pk}").status_code == 404
    assert not Message.objects.exists()


# --- Titles

SIXTY = "Exactly sixty characters are in this one, and it ends here.."


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("What is Python?", "What is Python?"),
        (SIXTY, SIXTY),
        (f"{SIXTY} And more", f"{SIXTY}..."),
        (f"{SIXTY}!", f"{SIXTY.rpartition(' ')[0]}..."),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 60 + "..."),
        ("漢" * 61, "漢" * 60 + "..."),
        ("short " + "x" * 80, "short..."),
        (" two\n\nlines  and\ttabs ", "two lines and tabs"),
        (" \n", "New Conversation"),
    ],
)
def test_a_title_is_at_most_sixty_characters_cut_between_words(question: str, title: str) -> None:
    assert len(SIXTY) == 60
    assert title_from(question) == title


def test_the_first_question_gives_the_title_and_no_later_one_does(conversation: Conversation) -> None:
    exchange(conversation, "What is Python?", "A language.")
    assert conversation.title == "What is Python?"
    exchange(conversation, "And Django?")
    assert conversation.title == "What is Python?"


def test_a_title_that_was_chosen_stays(browser: Client, alice: User) -> None:
    named = Conversation.objects.create(owner=alice, title="Mine")
    exchange(named, "What is Python?")
    assert named.title == "Mine"


def test_a_later_question_gives_no_title_even_after_the_default_one_returned(conversation: Conversation) -> None:
    exchange(conversation, "First?")
    conversation.change({"title": "New Conversation"})
    exchange(conversation, "Second?")
    assert conversation.title == "New Conversation"


def test_an_answer_gives_no_title(conversation: Conversation) -> None:
    turn = exchange(conversation, "Hello", "Hello there")
    conversation.change({"title": "New Conversation"})
    engine.regenerate(turn.reply).reply.finish(Message.Status.COMPLETE, content="Hello again")
    conversation.refresh_from_db()
    assert conversation.title == "New Conversation"


def test_only_messages_move_the_activity(browser: Client, conversation: Conversation) -> None:
    path = f"{CONVERSATIONS}/{conversation.pk}"
    turn = exchange(conversation, "First?")
    asked = conversation.updated_at
    browser.patch(path, {"title": "Other", "pinned": True, "archived": True}, content_type="application/json")
    browser.post(f"{path}/head", {"message_id": turn.question.pk}, content_type="application/json")
    browser.post(f"{path}/stop")
    browser.get(path)
    conversation.refresh_from_db()
    assert conversation.updated_at == asked
    exchange(conversation, "Second?")
    assert conversation.updated_at > asked
