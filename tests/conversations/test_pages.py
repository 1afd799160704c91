"""The chat's pages over HTTP: what alice is shown, and what bob is not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.conversations import engine
from apps.conversations.engine.boots import ORPHAN_CODE
from apps.conversations.engine.turn import InternalFault, ShutDown
from apps.conversations.models import Conversation, Message, Place
from apps.conversations.sidebar import CONVERSATIONS_A_PAGE, shelf_of
from apps.conversations.templatetags.conversations import FAILURES, ago
from apps.conversations.views import MESSAGES_A_PAGE
from apps.llm import errors

HOSTILE = "</script><img src=x onerror=alert(1)>\"'"
BrowserOf = Callable[[User], Client]


@pytest.fixture
def browser(alice: User, browser_of: BrowserOf) -> Client:
    return browser_of(alice)


@pytest.fixture
def strangers_browser(bob: User, browser_of: BrowserOf) -> Client:
    return browser_of(bob)


@pytest.fixture
def conversation(alice: User) -> Conversation:
    return Conversation.objects.create(owner=alice)


def exchange(conversation: Conversation, question: str = "Why?", answer: str = "Because.", **fields: object) -> Message:
    """A question and its answer, without asking a model; returns the answer."""
    turn = engine.begin(conversation, content=question)
    turn.reply.finish(Message.Status.COMPLETE, **{"content": answer, **fields})
    conversation.refresh_from_db()
    return turn.reply


def html_of(browser: Client, path: str) -> str:
    response = browser.get(path)
    assert response.status_code == 200
    return response.content.decode()


@dataclass
class Element:
    """An element of a page: its attributes, and the text that is directly in it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""

    def __getitem__(self, name: str) -> str:
        return self.attributes[name] or ""


class Elements(HTMLParser):
    """The elements of a page in order, but for those in `<template>`, which are for its script to copy."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.all: list[Element] = []
        self._open: list[Element] = []
        self._templates = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._templates += tag == "template"
        element = Element(tag, dict(attrs))
        if not self._templates:
            self.all.append(element)
        if tag not in {"meta", "link", "img", "input", "br", "hr"}:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        self._templates -= tag == "template"
        assert self._open.pop().tag == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1].text += data


def find(html: str, tag: str, **attributes: str) -> list[Element]:
    """The elements with this tag and these attributes (`class_` for class, `aria_current` for aria-current)."""
    wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    return [each for each in Elements(html).all if each.tag == tag and wanted.items() <= each.attributes.items()]


def texts(html: str, tag: str, **attributes: str) -> list[str]:
    return [each.text.strip() for each in find(html, tag, **attributes)]


def articles(html: str) -> list[int]:
    """The ids of the messages on a page, in order."""
    return [int(each["data-id"]) for each in find(html, "article", class_="message")]


def listed(html: str) -> list[str]:
    """The titles in the sidebar, in order."""
    return texts(html, "a", class_="title")


def shelves(html: str) -> list[str]:
    """The sidebar's labels, in order."""
    return texts(html, "h3")


# --- Who is shown what


@pytest.mark.parametrize("path", ["/", "/c/1", "/c/1/messages", "/c/1/messages/1", "/conversations"])
def test_whoever_is_not_signed_in_is_sent_to_sign_in_and_back(client: Client, db: None, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (302, f"/login?next={path}")


def test_a_page_that_outlives_its_session_goes_to_sign_in_as_a_whole(client: Client, db: None) -> None:
    shown = {"HTTP_HX_REQUEST": "true", "HTTP_HX_CURRENT_URL": "http://testserver/c/7"}
    response = client.get("/conversations", **shown)
    assert response["HX-Redirect"] == "/login?next=/c/7"
    assert response.content == b""


def test_what_is_somebody_elses_looks_like_what_is_not_there(
    browser: Client, strangers_browser: Client, conversation: Conversation
) -> None:
    reply = exchange(conversation, "alice's canary")
    parts = ["", "/messages", f"/messages/{reply.pk}"]
    for part in parts:
        assert browser.get(f"/c/{conversation.pk}{part}").status_code == 200
        theirs = strangers_browser.get(f"/c/{conversation.pk}{part}")
        missing = strangers_browser.get(f"/c/{conversation.pk + 1000}{part}")
        assert theirs.status_code == missing.status_code == 404
        assert without_token(theirs.content) == without_token(missing.content)


def without_token(page: bytes) -> bytes:
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", page)


def test_a_message_is_only_found_in_its_own_conversation(browser: Client, conversation: Conversation) -> None:
    other = Conversation.objects.create(owner=conversation.owner)
    reply = exchange(conversation)
    assert browser.get(f"/c/{conversation.pk}/messages/{reply.pk}").status_code == 200
    assert browser.get(f"/c/{other.pk}/messages/{reply.pk}").status_code == 404


def test_the_sidebar_lists_ones_own_conversations_alone(
    browser: Client, strangers_browser: Client, alice: User
) -> None:
    Conversation.objects.create(owner=alice, title="Alice's canary")
    assert listed(html_of(browser, "/")) == ["Alice's canary"]
    assert "canary" not in html_of(strangers_browser, "/")
    assert "canary" not in html_of(strangers_browser, "/conversations")


def test_the_link_to_the_administration_is_the_operators(browser: Client, root: User, browser_of: BrowserOf) -> None:
    assert 'href="/admin/"' in html_of(browser_of(root), "/")
    assert 'href="/admin/"' not in html_of(browser, "/")


def test_private_pages_are_kept_by_no_cache(browser: Client, conversation: Conversation) -> None:
    for path in ["/", f"/c/{conversation.pk}", f"/c/{conversation.pk}/messages", "/conversations"]:
        assert "no-store" in browser.get(path)["Cache-Control"]


def test_pages_are_only_read(browser: Client) -> None:
    assert browser.post("/").status_code == 405
    assert browser.head("/").status_code == 200


@pytest.mark.parametrize("path", ["/c/99999999999999999999", "/c/0", "/c/x", "/conversations?current=x"])
def test_an_id_that_makes_no_sense_finds_nothing(browser: Client, path: str) -> None:
    assert browser.get(path).status_code == 404


# --- A new chat


def test_a_new_chat_says_what_the_place_is_for_and_has_a_composer(browser: Client) -> None:
    page = html_of(browser, "/")
    assert "<title>Nebulus Gantry</title>" in page
    assert "What would you like to ask?" in page
    assert 'placeholder="Write a message"' in page
    assert "Your conversations will be listed here." in page
    assert articles(page) == []


def test_opening_a_new_chat_makes_no_conversation(browser: Client, alice: User) -> None:
    html_of(browser, "/")
    assert not Conversation.objects.visible_to(alice).exists()


def test_no_page_holds_inline_script_or_style(browser: Client, conversation: Conversation) -> None:
    exchange(conversation, answer="```python\nx = 1\n```\n\n$a^2$ and | a | b |\n\n| a | b |\n|--:|---|\n| 1 | 2 |")
    for path in ["/", f"/c/{conversation.pk}", "/c/0"]:
        page = browser.get(path).content.decode()
        assert not re.search(r"<[^>]+\s(style|on\w+)=", page)
        assert not re.search(r"<style", page)
        assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", page))


def test_every_module_of_the_page_is_fetched_at_once(browser: Client, settings: Settings) -> None:
    (folder,) = settings.STATICFILES_DIRS
    fetched = {link["href"] for link in find(html_of(browser, "/"), "link", rel="modulepreload")}
    modules = {f"/static/js/{path.name}" for path in (folder / "js").glob("*.js")}
    assert fetched == modules - {"/static/js/app.js"}


@pytest.mark.parametrize("cookie", ["dark", "light"])
def test_the_chosen_theme_is_on_the_page_before_any_script(browser: Client, cookie: str) -> None:
    assert "data-theme" not in find(html_of(browser, "/"), "html")[0].attributes
    browser.cookies["theme"] = cookie
    assert find(html_of(browser, "/"), "html", data_theme=cookie)


def test_a_theme_that_there_is_not_changes_nothing(browser: Client) -> None:
    browser.cookies["theme"] = "x onload=alert(1)"
    assert "alert(1)" not in html_of(browser, "/")


# --- A conversation


def test_a_conversation_shows_its_title_and_its_messages_in_order(browser: Client, conversation: Conversation) -> None:
    reply = exchange(conversation, "Why is the sky blue?", "It **scatters**.", model="tiny")
    page = html_of(browser, f"/c/{conversation.pk}")
    assert "<title>Why is the sky blue? · Nebulus Gantry</title>" in page
    assert articles(page) == [reply.parent_id, reply.pk]
    assert "<p>It <strong>scatters</strong>.</p>" in page
    assert texts(page, "span", class_="model") == ["tiny"]
    assert reply.created_at.isoformat() in [time["datetime"] for time in find(page, "time")]


def test_a_link_followed_within_the_page_brings_its_main_part_alone(
    browser: Client, conversation: Conversation
) -> None:
    followed = {"HTTP_HX_REQUEST": "true", "HTTP_HX_BOOSTED": "true"}
    part = browser.get(f"/c/{conversation.pk}", **followed).content.decode()
    assert part.startswith("<title>")
    assert '<main id="main"' in part
    assert 'id="sidebar"' not in part
    assert 'id="sidebar"' in html_of(browser, f"/c/{conversation.pk}")


def test_hostile_words_of_anybody_stay_words(browser: Client, conversation: Conversation) -> None:
    conversation.change({"title": HOSTILE, "model": HOSTILE})
    exchange(conversation, HOSTILE, HOSTILE, model=HOSTILE, error_code="llm_cut", error_detail=HOSTILE)
    page = html_of(browser, f"/c/{conversation.pk}")
    assert "<img src=x" not in page
    assert page.count("</script>") == page.count("<script")
    assert texts(page, "div", class_="text") == texts(page, "span", class_="model") == [HOSTILE]
    assert texts(page, "h1", class_="title") == listed(page) == [HOSTILE]


def test_a_message_carries_its_exact_text(browser: Client, conversation: Conversation) -> None:
    awkward = " \r\n\ttabs, \u2028 and </script> & é "
    exchange(conversation, awkward, awkward)
    page = html_of(browser, f"/c/{conversation.pk}")
    assert [json.loads(each) for each in texts(page, "script", type="application/json")] == [awkward, awkward]


def test_a_question_is_shown_with_its_spaces_and_lines(browser: Client, conversation: Conversation) -> None:
    reply = exchange(conversation, "  two\n\n    lines ")
    part = html_of(browser, f"/c/{conversation.pk}/messages/{reply.parent_id}")
    assert find(part, "div", class_="text")[0].text == "  two\n\n    lines "


@pytest.mark.parametrize("status", Message.Status.values)
def test_a_message_says_how_it_stands(browser: Client, conversation: Conversation, status: str) -> None:
    turn = engine.begin(conversation, content="Hello?")
    Message.objects.filter(pk=turn.reply.pk).update(status=status)
    part = html_of(browser, f"/c/{conversation.pk}/messages/{turn.reply.pk}")
    assert [each["data-status"] for each in find(part, "article", id=f"message-{turn.reply.pk}")] == [status]


def test_a_failure_is_worded_with_what_to_do_about_it(browser: Client, conversation: Conversation) -> None:
    reply = exchange(conversation, answer="", error_code="llm_unreachable", error_detail="[Error: Could not connect]")
    part = html_of(browser, f"/c/{conversation.pk}/messages/{reply.pk}")
    assert "The model server cannot be reached." in part
    assert "Check that it is running, then try again." in part
    assert "Try again</button>" in part
    assert "[Error: Could not connect]" in part


@pytest.mark.parametrize("code", [ORPHAN_CODE, ShutDown.code])
def test_text_was_kept_only_where_there_is_some(browser: Client, conversation: Conversation, code: str) -> None:
    failed = exchange(conversation, answer="", error_code=code)
    page = html_of(browser, f"/c/{conversation.pk}")
    assert "Nothing of it had arrived." in page
    assert "was kept" not in page
    failed.content = "Half an ans"
    failed.save()
    assert "What had arrived was kept." in html_of(browser, f"/c/{conversation.pk}")


def test_an_archived_conversation_says_that_it_is(browser: Client, conversation: Conversation) -> None:
    path = f"/c/{conversation.pk}"
    assert 'data-archived="false"' in html_of(browser, path).partition('class="topbar"')[2].partition(">")[0]
    conversation.archived = True
    conversation.save()
    topbar = html_of(browser, path).partition('class="topbar"')[2].partition("</header>")[0]
    assert 'data-archived="true"' in topbar.partition(">")[0]
    assert ">Archived<" in topbar


def test_an_unknown_failure_still_has_words(browser: Client, conversation: Conversation) -> None:
    reply = exchange(conversation, error_code="from_the_future")
    assert "The answer could not be completed." in html_of(browser, f"/c/{conversation.pk}/messages/{reply.pk}")


def test_every_way_to_fail_has_words() -> None:
    def codes(error: type[errors.LLMError]) -> set[str]:
        return {error.code}.union(*(codes(each) for each in error.__subclasses__()))

    ours = {ORPHAN_CODE, ShutDown.code, InternalFault.code}
    assert (codes(errors.LLMError) - {"llm_error"}) | ours == set(FAILURES)


def test_an_answer_says_that_older_turns_were_left_out(browser: Client, conversation: Conversation) -> None:
    def is_said(reply: Message) -> bool:
        (note,) = find(html_of(browser, f"/c/{conversation.pk}/messages/{reply.pk}"), "p", data_degraded="history")
        assert note.text.startswith("Older turns were left out")
        return "hidden" not in note.attributes

    assert is_said(exchange(conversation, degraded=["history"]))
    assert not is_said(exchange(conversation))


def test_siblings_are_counted(browser: Client, conversation: Conversation) -> None:
    first = exchange(conversation)
    alone = html_of(browser, f"/c/{conversation.pk}/messages/{first.pk}")
    assert "hidden" in find(alone, "span", class_="branches")[0].attributes
    second = engine.regenerate(first).reply
    part = html_of(browser, f"/c/{conversation.pk}/messages/{second.pk}")
    assert texts(part, "span", class_="place") == ["2/2"]
    assert "hidden" not in find(part, "span", class_="branches")[0].attributes
    assert articles(html_of(browser, f"/c/{conversation.pk}")) == [first.parent_id, second.pk]


def test_a_long_history_pages_upward_to_its_beginning(browser: Client, conversation: Conversation) -> None:
    made = [exchange(conversation, str(number)) for number in range(MESSAGES_A_PAGE // 2 + 1)]
    everything = [pk for reply in made for pk in (reply.parent_id, reply.pk)]
    page = html_of(browser, f"/c/{conversation.pk}")
    assert articles(page) == everything[2:]
    (earlier,) = find(page, "div", class_="earlier")
    part = html_of(browser, earlier["data-href"])
    assert articles(part) == everything[:2]
    assert not find(part, "div", class_="earlier")


def test_paging_from_what_is_no_message_finds_nothing(browser: Client, conversation: Conversation) -> None:
    assert browser.get(f"/c/{conversation.pk}/messages?before=-1").status_code == 404
    assert browser.get(f"/c/{conversation.pk}/messages?before=99999999999999999999").status_code == 404


# --- The sidebar


def at(conversation: Conversation, **ago: int) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=timezone.now() - timedelta(**ago))


def test_conversations_stand_on_shelves_pinned_first_then_by_day(browser: Client, alice: User) -> None:
    for title, days, pinned in [
        ("now", 0, False), ("kept", 90, True), ("one", 1, False), ("five", 5, False), ("twenty", 20, False),
    ]:  # fmt: skip
        at(Conversation.objects.create(owner=alice, title=title, pinned=pinned), days=days)
    page = html_of(browser, "/")
    assert listed(page) == ["kept", "now", "one", "five", "twenty"]
    assert shelves(page) == ["Pinned", "Today", "Yesterday", "Previous 7 days", "Previous 30 days"]


def test_older_conversations_stand_by_month_and_year(browser: Client, alice: User) -> None:
    long_ago = Conversation.objects.create(owner=alice)
    at(long_ago, days=800)
    long_ago.refresh_from_db()
    assert shelves(html_of(browser, "/")) == [f"{long_ago.updated_at:%B %Y}"]


def test_days_are_the_readers_own() -> None:
    late = Place(pinned=False, updated_at=datetime(2026, 1, 1, 23, 30, tzinfo=UTC), pk=1)
    with timezone.override("UTC"):
        assert shelf_of(late, date(2026, 1, 2)) == ("yesterday", "Yesterday")
    with timezone.override("Asia/Tokyo"):
        assert shelf_of(late, date(2026, 1, 2)) == ("today", "Today")


@pytest.mark.parametrize(
    ("cookie", "zone"), [("", "UTC"), ("Asia/Tokyo", "JST"), ("Nowhere/Land", "UTC"), ("../../etc/passwd", "UTC")]
)
def test_times_are_in_the_readers_zone(browser: Client, conversation: Conversation, cookie: str, zone: str) -> None:
    browser.cookies["timezone"] = cookie
    reply = exchange(conversation)
    (time,) = find(html_of(browser, f"/c/{conversation.pk}/messages/{reply.pk}"), "time")
    assert time["title"].endswith(f" {zone}")


def test_a_long_list_pages_to_its_end_without_gap_or_repeat(browser: Client, alice: User) -> None:
    titles = [f"talk {number:03}" for number in range(CONVERSATIONS_A_PAGE * 2 + 1)]
    for hours, title in enumerate(titles):
        at(Conversation.objects.create(owner=alice, title=title), hours=hours)
    page, found, labels = html_of(browser, "/"), [], []
    while True:
        found += listed(page)
        labels += shelves(page)
        more = find(page, "li", class_="more")
        if not more:
            break
        page = html_of(browser, more[0]["hx-get"])
    assert found == titles
    assert len(labels) == len(set(labels))


def test_paging_goes_on_where_it_was_when_the_last_row_has_moved(browser: Client, alice: User) -> None:
    rows = [Conversation.objects.create(owner=alice, title=str(n)) for n in range(CONVERSATIONS_A_PAGE + 2)]
    for hours, row in enumerate(rows):
        at(row, hours=hours)
    (more,) = find(html_of(browser, "/"), "li", class_="more")
    at(rows[CONVERSATIONS_A_PAGE - 1], hours=0)
    assert listed(html_of(browser, more["hx-get"])) == ["50", "51"]


@pytest.mark.parametrize("after", ["x", "1~x~1", "1~2026-01-01~1", "1~2026-01-01T00:00:00+00:00~x"])
def test_a_place_in_the_list_that_makes_no_sense_finds_nothing(browser: Client, after: str) -> None:
    assert browser.get("/conversations", {"after": after}).status_code == 404


def test_the_archive_is_apart(browser: Client, alice: User) -> None:
    Conversation.objects.create(owner=alice, title="kept")
    assert "Nothing is archived." in html_of(browser, "/conversations?archived=true")
    Conversation.objects.create(owner=alice, title="put away", archived=True)
    assert listed(html_of(browser, "/conversations?archived=true")) == ["put away"]
    assert listed(html_of(browser, "/conversations?archived=false")) == ["kept"]


def test_the_conversation_being_read_is_marked(browser: Client, alice: User, conversation: Conversation) -> None:
    Conversation.objects.create(owner=alice, title="another")
    (marked,) = find(html_of(browser, f"/c/{conversation.pk}"), "a", aria_current="page")
    assert marked["href"] == f"/c/{conversation.pk}"


# --- Words for times, and pages for what went wrong


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(seconds=-20), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
    ],
)
def test_times_are_relative(past: timedelta, words: str) -> None:
    assert ago(timezone.now() - past) == words


def test_older_times_are_dates() -> None:
    then = timezone.now() - timedelta(days=40)
    assert ago(then) == f"{then:%d %b %Y}"


def test_a_page_that_is_not_there_says_so_in_the_house(browser: Client, client: Client) -> None:
    response = browser.get("/nowhere")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()
    assert 'id="sidebar"' in response.content.decode()
    assert 'id="sidebar"' not in client.get("/nowhere").content.decode()


@pytest.mark.parametrize("page", ["400.html", "403.html", "404.html", "500.html"])
def test_a_page_for_what_went_wrong_needs_nothing_to_be_shown(page: str) -> None:
    assert texts(render_to_string(page), "h1")
    assert find(render_to_string(page), "a", href="/")
