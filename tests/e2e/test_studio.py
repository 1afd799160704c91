"""One live session in two browsers: what one musician does the other sees, without reloading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.launcher.conftest import NO_MODEL
from tests.servers import EMAIL, PASSWORD, Product

pytestmark = pytest.mark.e2e

BOB = "bob@example.org"
# Set in a page, and gone when it is loaded again.
MARK = "window.wasNotReloaded = true"


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    with Product(tmp_path, tabby_host=NO_MODEL) as product:
        product.add_account()
        product.add_account(BOB)
        yield product


@pytest.fixture
def bobs_page(context: BrowserContext) -> Iterator[Page]:
    """In a browser profile of his own."""
    assert context.browser is not None
    his = context.browser.new_context()
    complaints: list[str] = []
    # A browser calls every refusal an error; his notes are refused once, which is the point.
    refusal = "412 (Precondition Failed)"
    his.on("console", lambda said: said.type == "error" and refusal not in said.text and complaints.append(said.text))
    his.on("weberror", lambda error: complaints.append(str(error.error)))
    yield his.new_page()
    his.close()
    assert complaints == []


def sign_in(page: Page, product: Product, email: str, to: str) -> None:
    page.goto(f"{product.url}/login?next={to}")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(product.url + to)


def make_a_repo_for_two(page: Page, product: Product) -> None:
    sign_in(page, product, EMAIL, "/studio")
    page.get_by_label("Name").fill("Night Ferry")
    page.get_by_role("button", name="Make the repo").click()
    expect(page.get_by_role("heading", name="Night Ferry")).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Username").fill("bob")
    page.get_by_role("button", name="Add them").click()
    expect(page.get_by_role("cell", name="bob", exact=True)).to_be_visible()
    page.get_by_role("link", name="alice / Night Ferry").click()


def start_a_session(page: Page, intent: str) -> None:
    form = page.locator("#start")
    page.get_by_role("button", name="Start a session").click()
    expect(form.get_by_label("What it is about")).to_be_focused()
    form.get_by_role("button", name="Cancel").click()
    expect(form).to_be_hidden()
    page.get_by_role("button", name="Start a session").click()
    form.get_by_label("What it is about").fill(intent)
    form.get_by_label("Who is there").fill("Ann\nBen")
    page.get_by_role("button", name="Start now").click()
    expect(page.get_by_role("heading", name=intent)).to_be_visible()


def seconds_shown(page: Page) -> int:
    hours, minutes, seconds = map(int, page.locator("#session studio-clock").inner_text().split(":"))
    return (hours * 60 + minutes) * 60 + seconds


def was_not_reloaded(page: Page) -> bool:
    return bool(page.evaluate("window.wasNotReloaded === true"))


def test_two_browsers_see_one_live_session(product: Product, page: Page, bobs_page: Page) -> None:
    make_a_repo_for_two(page, product)
    sign_in(bobs_page, product, BOB, "/studio/alice/night-ferry")
    bobs_page.evaluate(MARK)

    start_a_session(page, "Vocals")
    banner = bobs_page.locator(".banner", has_text="Vocals")
    expect(banner).to_be_visible()
    expect(
        bobs_page.get_by_role("listitem").filter(has=bobs_page.get_by_role("link", name="Vocals")).first
    ).to_contain_text("Ann, Ben")
    assert was_not_reloaded(bobs_page)

    banner.get_by_role("link", name="Vocals").click()
    expect(bobs_page.locator("#session studio-clock")).to_be_visible()
    bobs_page.evaluate(MARK)
    page.evaluate(MARK)
    before = seconds_shown(bobs_page)
    bobs_page.wait_for_function(
        "before => document.querySelector('#session studio-clock').textContent !== before",
        arg=bobs_page.locator("#session studio-clock").inner_text(),
    )
    assert seconds_shown(bobs_page) > before

    bobs_page.get_by_label("Add a note").fill("Take **2** is it")
    bobs_page.get_by_role("button", name="Add the note").click()
    for each in (page, bobs_page):
        expect(each.locator("#notes strong", has_text=re.compile("^2$"))).to_be_visible()
    expect(bobs_page.get_by_label("Add a note")).to_have_value("")

    bobs_page.locator("#notes").get_by_role("link", name="Edit").click()
    notes = bobs_page.get_by_label("Notes, in Markdown")
    notes.fill("His")
    commit_from_a_script(product)
    expect(page.locator("#session")).to_contain_text("c0ffee")
    expect(notes).to_have_value("His")
    bobs_page.get_by_role("button", name="Save the notes").click()
    expect(bobs_page.get_by_role("alert")).to_contain_text("Somebody changed")
    expect(notes).to_have_value("His")
    bobs_page.get_by_role("button", name="Save the notes").click()
    for each in (page, bobs_page):
        expect(each.locator("#notes .prose")).to_have_text("His")

    page.get_by_role("button", name="Stop").click()
    expect(bobs_page.locator("#session")).to_contain_text("Ended")
    expect(bobs_page.get_by_role("button", name="Stop")).to_have_count(0)
    assert was_not_reloaded(bobs_page)


def commit_from_a_script(product: Product) -> None:
    """What a recorder does, over the API."""
    client = product.sign_in()
    (repo,) = client.get("/api/repos").json()["repos"]
    (session,) = client.get(f"/api/repos/{repo['repoId']}/sessions").json()["sessions"]
    answer = client.patch(f"/api/repos/{repo['repoId']}/sessions/{session['sessionId']}", json={"commits": ["c0ffee"]})
    assert answer.status_code == 200


def test_filters_narrow_the_list_in_place_and_more_is_fetched(product: Product, page: Page) -> None:
    make_a_repo_for_two(page, product)
    client = product.sign_in()
    (repo,) = client.get("/api/repos").json()["repos"]
    for number in range(35):
        times = {"startedAt": f"2025-01-01T{number % 24:02}:{number:02}:00Z", "endedAt": "2025-01-03T00:00:00Z"}
        answer = client.post(f"/api/repos/{repo['repoId']}/sessions", json={"intent": f"Take {number}.", **times})
        assert answer.status_code == 201
    rows = page.locator("#sessions > li[id]")
    expect(rows.first).to_be_visible()
    page.get_by_role("link", name="Show more").click()
    expect(rows).to_have_count(35)
    page.evaluate(MARK)
    page.get_by_label("Text").fill("take 17.")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?.*q=take"))
    assert was_not_reloaded(page)


def test_a_secret_that_is_shown_once_is_copied_by_its_button(
    page: Page, context: BrowserContext, product: Product
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    make_a_repo_for_two(page, product)
    for path, make in (("/settings", "Make a token"), ("/studio/alice/night-ferry/settings", "Make an address")):
        page.goto(product.url + path)
        if path == "/settings":
            page.get_by_label("What it is for").fill("a program")
        page.get_by_role("button", name=make).click()
        page.get_by_role("button", name="Copy", exact=True).click()
        shown = page.locator(".secret input").input_value()
        expect(page.locator(".secret .copy.is-done")).to_be_visible()
        assert shown
        assert page.evaluate("navigator.clipboard.readText()") == shown


@pytest.mark.parametrize("keys", ["Control+Enter", "Meta+Enter"])
def test_a_note_is_sent_from_the_keyboard(product: Product, page: Page, keys: str) -> None:
    make_a_repo_for_two(page, product)
    start_a_session(page, "Vocals")
    note = page.get_by_label("Add a note")
    note.fill("Take one")
    note.press("Enter")
    note.press_sequentially("was flat")
    expect(note).to_have_value("Take one\nwas flat")
    note.press(keys)
    expect(page.locator("#notes")).to_contain_text("was flat")
    expect(note).to_have_value("")
    expect(note).to_be_focused()
