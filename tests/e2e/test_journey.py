"""The main job on real input: from an empty checkout to a real model's answer, in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.launcher.conftest import Checkout

pytestmark = pytest.mark.e2e

EMAIL, PASSWORD = "alice@example.org", "correct horse battery"
LONG = "Write a list of one hundred animals, with a sentence about each."
# Something else: where memory knows an answer like it, this model soon has nothing more to say.
STORY = "Tell me a long story about a lighthouse keeper, with many chapters."


def test_from_an_empty_checkout_to_a_real_answer(checkout: Checkout, context: BrowserContext, page: Page) -> None:
    started = checkout.start(TABBY_HOST="")
    page.goto(started.address)
    set_up(page)
    ask_and_watch_it_stream(page)
    stop_an_answer(page)
    reload_in_mid_answer_with_a_second_tab(context, page)
    edit_a_question_and_switch_back(page)
    rename_pin_and_delete(page)
    sign_out_and_in(page, started.address)


def answers(page: Page) -> Locator:
    return page.get_by_role("article", name="Answer")


def ask(page: Page, text: str) -> Locator:
    """Send a question; its answer, as it begins."""
    before = answers(page).count()
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send", exact=True).click()
    return answers(page).nth(before)


def status(answer: Locator, wanted: str | re.Pattern[str]) -> None:
    # The bundled model sometimes goes on until its context is full.
    expect(answer).to_have_attribute("data-status", wanted, timeout=180_000)


def prose(answer: Locator) -> Locator:
    return answer.locator(".prose")


def set_up(page: Page) -> None:
    expect(page).to_have_title("Set up · Nebulus Gantry")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Name").fill("Alice")
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="What would you like to ask?")).to_be_visible()


def ask_and_watch_it_stream(page: Page) -> None:
    # The model takes a moment longer to load than the page to serve; the picker shows it once it is there.
    expect(page.get_by_role("combobox", name="Model")).to_contain_text("smollm2")
    answer = ask(page, "What is the capital of France? Explain in three sentences.")
    status(answer, "streaming")
    expect(prose(answer)).not_to_be_empty()
    status(answer, "complete")
    expect(page).to_have_title("What is the capital of France? Explain in three sentences. · Nebulus Gantry")


def stop_an_answer(page: Page) -> None:
    answer = ask(page, LONG)
    expect(prose(answer)).not_to_be_empty()
    page.get_by_role("button", name="Stop").click()
    status(answer, "stopped")
    kept = prose(answer).inner_html()
    page.reload()
    assert prose(answers(page).last).inner_html() == kept


def reload_in_mid_answer_with_a_second_tab(context: BrowserContext, page: Page) -> None:
    page.get_by_role("complementary", name="Sidebar").get_by_role("link", name="New chat").click()
    expect(page.get_by_role("heading", name="What would you like to ask?")).to_be_visible()
    answer = ask(page, STORY)
    expect(prose(answer)).not_to_be_empty()
    page.reload()
    other = context.new_page()
    other.goto(page.url)
    expect(prose(answers(other).last)).not_to_be_empty()
    # On a busy machine the model may be done by now; then there is nothing to stop.
    page.get_by_role("button", name="Stop", include_hidden=True).dispatch_event("click")
    for tab in (page, other):
        status(answers(tab).last, re.compile("stopped|complete"))
    assert prose(answers(other).last).inner_html() == prose(answers(page).last).inner_html()
    other.close()


def edit_a_question_and_switch_back(page: Page) -> None:
    first = page.get_by_role("article", name="You").first
    first.hover()
    first.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Edit the question").fill("What is the capital of Italy?")
    page.locator("form.editor").get_by_role("button", name="Send").click()
    edited = page.get_by_role("article", name="You").first
    expect(edited).to_contain_text("Italy")
    expect(edited).to_contain_text("2/2")
    status(answers(page).first, "complete")
    edited.hover()
    edited.get_by_role("button", name="Previous version").click()
    expect(page.get_by_role("article", name="You").first).to_contain_text("lighthouse")


def rename_pin_and_delete(page: Page) -> None:
    def choose(action: str) -> None:
        page.get_by_role("button", name="Conversation menu").click()
        menu = page.get_by_role("group", name="Conversation", exact=True)
        menu.get_by_role("button", name=action, exact=True).click()

    listed = page.get_by_role("complementary", name="Sidebar").get_by_role("link", name="Capitals")
    choose("Rename")
    page.get_by_role("textbox", name="Title").fill("Capitals")
    page.get_by_role("textbox", name="Title").press("Enter")
    expect(listed).to_be_visible()
    choose("Pin")
    expect(page.get_by_role("heading", name="Pinned")).to_be_visible()
    choose("Delete")
    expect(listed).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(listed).to_be_visible()


def sign_out_and_in(page: Page, address: str) -> None:
    page.get_by_role("button", name="Alice").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Nebulus Gantry")  # the page leaves by itself
    page.goto(address)
    expect(page).to_have_title("Sign in · Nebulus Gantry")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Capitals")).to_be_visible()
