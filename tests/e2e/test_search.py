"""Memory and search in the chat: what a reply was told leads to where it was said, and so does every result."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.scripted_model import ScriptedModel
from tests.servers import EMAIL, PASSWORD, Product

pytestmark = pytest.mark.e2e

SAID = "My cat Mimi sleeps in the violin case."
# A conversation far longer than a page, and one that was gone on with differently.
SEED = """
from apps.accounts.models import User
from apps.conversations import engine
from apps.conversations.models import Conversation, Message
alice = User.objects.get()
def ask(conversation, question, answer):
    turn = engine.begin(conversation, content=question)
    turn.reply.finish(Message.Status.COMPLETE, content=answer)
    conversation.refresh_from_db()
    return turn
long = Conversation.objects.create(owner=alice, title="Tides")
for number in range(60):
    ask(long, f"Question {number}?", "A word about the sextant." if number == 10 else f"Answer {number}. " * 30)
forked = Conversation.objects.create(owner=alice, title="Cakes")
left = ask(forked, "With coffee?", "Take the gugelhupf.")
engine.edit(left.question, content="With tea?").reply.finish(Message.Status.COMPLETE, content="Take scones.")
"""


@pytest.fixture
def product(data_dir: Path, model_server: ScriptedModel) -> Iterator[Product]:
    model_server.script = "say-3"
    with Product(data_dir, tabby_host=model_server.url) as started:
        started.manage("shell", "-c", SEED)
        yield started


def test_what_was_said_is_recalled_found_and_opened_where_it_stands(product: Product, page: Page) -> None:
    sign_in(page, product)
    ask(page, SAID)
    a_reply_says_what_it_was_told(page)
    a_memory_leads_to_its_message(page)
    search_by_keyboard(page)
    open_a_message_far_up(page)
    read_another_branch_and_go_on_with_it(page)
    switch_memory_off(page)
    have_a_temporary_chat(page)


def sidebar(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Sidebar")


def answers(page: Page) -> Locator:
    return page.get_by_role("article", name="Answer")


def sign_in(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/login")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def ask(page: Page, text: str) -> Locator:
    """Ask in a new page; the whole answer."""
    page.wait_for_load_state("networkidle")  # its scripts have asked for what they need
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(answers(page).last).to_have_attribute("data-status", "complete")
    return answers(page).last


def a_reply_says_what_it_was_told(page: Page) -> None:
    sidebar(page).get_by_role("link", name="New chat").click()
    answer = ask(page, "Where does my cat Mimi sleep?")
    used = answer.locator("details.sources")
    expect(used).to_contain_text(re.compile("Used [12] memor"))
    page.reload()
    expect(used).to_contain_text(re.compile("Used [12] memor"))


def a_memory_leads_to_its_message(page: Page) -> None:
    used = answers(page).last.locator("details.sources")
    used.locator("summary").click()
    expect(used).to_contain_text(SAID)
    used.locator("li", has=page.locator("p", has_text=SAID)).get_by_role("link").click()
    at_message(page, SAID)


def at_message(page: Page, text: str) -> None:
    """The page is open at the message, and shows it."""
    shown = page.locator(".message:target")
    expect(shown).to_contain_text(text)
    expect(shown).to_be_in_viewport()


def search_by_keyboard(page: Page) -> None:
    page.keyboard.press("Control+k")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    page.keyboard.type("violin")
    result = page.locator("#found li p", has_text=SAID)
    expect(result.locator("mark")).to_have_text("violin")
    expect(page).to_have_url(re.compile(r"/search\?q=violin$"))
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Said by").select_option("assistant")
    expect(result).to_be_hidden()
    page.get_by_label("Said by").select_option("me")
    expect(result).to_be_visible()
    field.press("ArrowDown")
    page.keyboard.press("Enter")
    at_message(page, "cat")


def open_a_message_far_up(page: Page) -> None:
    find(page, "sextant")
    at_message(page, "sextant")
    expect(page.get_by_role("button", name="To the end")).to_be_visible()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def find(page: Page, words: str) -> None:
    """Look for it, and open the best result."""
    page.keyboard.press("Control+k")
    page.get_by_role("searchbox").fill(words)
    page.locator("#found").get_by_role("link").filter(has=page.locator("xpath=..//mark")).first.click()


def read_another_branch_and_go_on_with_it(page: Page) -> None:
    find(page, "gugelhupf")
    at_message(page, "gugelhupf")
    expect(page.get_by_role("textbox", name="Message")).to_be_hidden()
    page.get_by_role("link", name="Go to that one").click()
    expect(answers(page)).to_contain_text("scones")
    page.go_back()
    page.get_by_role("button", name="Continue with this one").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    at_message(page, "gugelhupf")


def switch_memory_off(page: Page) -> None:
    sign = page.get_by_text("Memory off", exact=True)
    expect(sign).to_be_hidden()
    choose(page, "Turn memory off here")
    expect(sign).to_be_visible()
    page.reload()
    expect(sign).to_be_visible()
    choose(page, "Turn memory on here")
    expect(sign).to_be_hidden()


def choose(page: Page, action: str) -> None:
    page.get_by_role("button", name="Conversation menu").click()
    page.get_by_role("group", name="Conversation", exact=True).get_by_role("button", name=action).click()


def have_a_temporary_chat(page: Page) -> None:
    sidebar(page).get_by_role("link", name="Temporary chat").click()
    note = page.get_by_role("note").filter(has_text="Temporary chat.")
    expect(note).to_be_visible()
    answer = ask(page, "Where does my cat Mimi sleep, between us?")
    expect(answer.locator("details.sources")).to_be_hidden()
    expect(sidebar(page).get_by_role("link", name="between us")).to_have_count(0)
    page.reload()
    expect(note).to_be_visible()
    note.get_by_role("button", name="End and delete").click()
    expect(page.get_by_role("heading", name="What would you like to ask?")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
