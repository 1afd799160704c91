"""Memory's pages in a browser: forgetting can be undone, a search narrows in place, the graph leads to its facts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.launcher.conftest import NO_MODEL
from tests.servers import EMAIL, PASSWORD, Product
from tests.waiting import until

pytestmark = pytest.mark.e2e

UNDO_SECONDS = 10
# Set in a page, and gone when it is loaded again.
MARK = "window.wasNotReloaded = true"
SAY = """
from apps.accounts.models import User
from apps.memory import graph
from tests.memory.said import say, talk
alice = User.objects.get()
band, rent = talk(alice, "The band"), talk(alice, "Money")
graph.add_fact(say(alice, "Anna plays the cello.", band), "Anna", "plays", "cello", object_kind="music")
graph.add_fact(say(alice, "Ben lives in Basel.", band), "Ben", "lives in", "Basel", object_kind="place")
say(alice, "The rent is due on Monday.", rent)
"""


@pytest.fixture
def product(data_dir: Path) -> Iterator[Product]:
    with Product(data_dir, tabby_host=NO_MODEL) as product:
        product.manage("shell", "--verbosity", "0", "--command", SAY)
        yield product


def sign_in(page: Page, product: Product, to: str = "/memory") -> None:
    page.goto(f"{product.url}/login?next={to}")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(product.url + to)
    page.wait_for_load_state()  # before its scripts are there, a form is sent as forms are


def remembered(product: Product) -> list[str]:
    """As the server has it, the newest first."""
    return [memory["text"] for memory in product.sign_in().get("/api/memory").json()["memories"]]


def forget(page: Page, text: str) -> None:
    button = page.get_by_role("button", name=f"Forget “{text}")
    button.click()
    expect(button).to_be_hidden()


def test_what_is_forgotten_can_be_undone_until_the_server_is_asked(product: Product, page: Page) -> None:
    page.clock.install()
    sign_in(page, product)
    asked: list[str] = []
    page.on("request", lambda request: request.method == "DELETE" and asked.append(request.url))

    forget(page, "Anna plays the cello.")
    page.clock.run_for((UNDO_SECONDS - 1) * 1000)
    assert asked == []
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Anna plays the cello.")).to_be_visible()
    expect(page.get_by_role("button", name="Forget “Anna")).to_be_focused()
    page.clock.run_for(UNDO_SECONDS * 2000)
    assert asked == []

    forget(page, "The rent is due on Monday.")
    expect(page.get_by_role("heading", name="Money")).to_be_hidden()
    with page.expect_response(lambda response: response.request.method == "DELETE") as answer:
        page.clock.run_for(UNDO_SECONDS * 1000)
    assert answer.value.status == 200
    assert remembered(product) == ["Ben lives in Basel.", "Anna plays the cello."]
    page.reload()
    expect(page.get_by_text("The rent")).to_have_count(0)


def test_a_search_narrows_the_list_and_a_page_that_is_left_forgets_at_once(product: Product, page: Page) -> None:
    sign_in(page, product)
    page.evaluate(MARK)
    page.get_by_label("Search what is remembered").fill("rent")
    expect(page.get_by_text("Anna plays the cello.")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?q=rent"))
    assert page.evaluate("window.wasNotReloaded === true")
    forget(page, "The rent is due on Monday.")
    expect(page.get_by_text("“The rent is due on Monday.” will be forgotten.")).to_be_visible()
    page.goto(f"{product.url}/settings")
    page.get_by_role("link", name="Open memory").click()
    expect(page.get_by_text("2 memories, the newest first.")).to_be_visible()
    expect(page.get_by_text("The rent is due on Monday.")).to_have_count(0)
    assert remembered(product) == ["Ben lives in Basel.", "Anna plays the cello."]


def test_what_is_forgotten_on_a_page_that_is_closed_is_forgotten(product: Product, page: Page) -> None:
    sign_in(page, product)
    forget(page, "The rent is due on Monday.")
    forget(page, "Ben lives in Basel.")
    page.close(run_before_unload=True)
    until(lambda: remembered(product) == ["Anna plays the cello."])


def test_a_conversation_that_is_deleted_on_a_page_that_is_left_is_deleted(product: Product, page: Page) -> None:
    sign_in(page, product, "/")
    page.get_by_role("complementary", name="Sidebar").get_by_role("link", name="Money").click()
    page.get_by_role("button", name="Conversation menu").click()
    menu = page.get_by_role("group", name="Conversation", exact=True)
    menu.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("“Money” will be deleted.")).to_be_visible()
    page.goto(f"{product.url}/settings")
    conversations = product.sign_in().get("/api/chat/conversations").json()
    assert [conversation["title"] for conversation in conversations] == ["The band"]


def test_from_the_graph_to_a_fact_to_the_message_that_told_it(product: Product, page: Page) -> None:
    sign_in(page, product, "/memory/graph")
    page.locator(".graph a", has_text="Ben").locator("text").click()
    expect(page.get_by_role("heading", name="Ben")).to_be_visible()
    page.get_by_label("It is the same as").fill("Anna")
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_text("Also called Ben")).to_be_visible()
    known = page.get_by_role("listitem").filter(has_text="Anna lives in Basel")
    known.get_by_role("link", name="in “The band”").click()
    expect(page).to_have_url(re.compile(r"/c/\d+\?at=\d+#message-\d+$"))
    expect(page.get_by_role("main").get_by_text("Ben lives in Basel.")).to_be_visible()


def test_what_is_left_is_counted_anew(product: Product, page: Page) -> None:
    page.clock.install()
    sign_in(page, product)
    for left, text in ((2, "The rent is due"), (1, "Ben lives")):
        forget(page, text)
        page.clock.run_for(UNDO_SECONDS * 1000)
        memories = "1 memory" if left == 1 else f"{left} memories"
        expect(page.get_by_text(f"{memories}, the newest first.")).to_be_visible()
        expect(page.get_by_text(f"All {memories} and every fact")).to_be_visible()
    page.get_by_role("button", name="Forget everything…").click()
    expect(page.get_by_text("that is remembered of you, 1 memory and")).to_be_visible()


def test_a_list_that_is_empty_now_says_so(product: Product, page: Page) -> None:
    page.clock.install()
    sign_in(page, product, "/memory?q=rent")
    expect(page.get_by_text("1 memory fits “rent”")).to_be_visible()
    forget(page, "The rent is due on Monday.")
    expect(page.get_by_role("main")).to_be_focused()
    page.clock.run_for(UNDO_SECONDS * 1000)
    expect(page.get_by_text("No memory fits “rent”.")).to_be_visible()
    expect(page.get_by_text("All 2 memories")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    for text in ("Anna plays", "Ben lives"):
        forget(page, text)
    page.clock.run_for(UNDO_SECONDS * 1000)
    expect(page.get_by_text("Nothing is remembered yet.")).to_be_visible()
    expect(page.get_by_role("heading", name="Forget everything")).to_have_count(0)


# Where the picture stands and how far it could be moved, at each frame that is painted.
WATCH = """
window.places = [];
(function look() {
  const drawing = document.querySelector(".drawing");
  if (drawing) places.push([drawing.scrollLeft, drawing.scrollWidth - drawing.clientWidth]);
  requestAnimationFrame(look);
})();
"""
PLACES = """
() => new Promise((resolve) => {
  (function wait() {
    if (places.length > 3) resolve(places.splice(0));
    else requestAnimationFrame(wait);
  })();
})
"""


def test_a_picture_wider_than_its_window_opens_at_its_middle_and_stays_where_it_is_moved(
    product: Product, page: Page
) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    sign_in(page, product)
    page.add_init_script(WATCH)
    page.goto(f"{product.url}/memory/graph")
    places = page.evaluate(PLACES)
    assert places[0][1] > 100
    assert {abs(2 * left - beyond) <= 2 for left, beyond in places} == {True}
    page.locator(".drawing").evaluate("drawing => { drawing.scrollLeft = 0; places.length = 0; }")
    assert {left for left, _ in page.evaluate(PLACES)} == {0}


def test_without_scripts_forgetting_asks_at_once(product: Product, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, product)
    page.get_by_role("button", name="Forget “Anna").click()
    expect(page.get_by_text("Forgotten.")).to_be_visible()
    assert remembered(product) == ["The rent is due on Monday.", "Ben lives in Basel."]
    context.close()
