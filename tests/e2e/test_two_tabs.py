"""However a page came to show a reply (there from its first word, opened in the middle, loaded when it was over), it
shows the same, to the byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, WebSocketRoute, expect

from tests.scripted_model import ScriptedModel
from tests.servers import EMAIL, PASSWORD, Product

pytestmark = pytest.mark.e2e

# What a part that came later changes in an earlier one; blocks within blocks; what looks like markup; what is nothing.
PIECES = [
    "Look at [the map][map] ",
    "and <b>listen</b>.\n\n",
    "- one\n- two",
    "\n\n  ```python\n  print(1 <",
    " 2)\n  ```\n\n| a | b |\n|---|---|\n| $x^2$ | 2 |\n\n",
    "Heading\n",
    "=======\n\n[map]: https://example.org/map\n\n",
    "1. é 漢字 👩‍👩‍👧\n   > said\n\nThe end",
]
# What shows on a page that so many of them have come.
LAST_WORDS = {2: "and <b>listen</b>.", 5: "print(1 < 2)", len(PIECES): "The end"}
ENDINGS: dict[str, Callable[[Page, ScriptedModel], None]] = {
    "stopped": lambda page, model: page.get_by_role("button", name="Stop").click(),
    "complete": lambda page, model: model.finish(),
    "interrupted": lambda page, model: model.cut(),
}


@pytest.fixture
def product(data_dir: Path, model_server: ScriptedModel) -> Iterator[Product]:
    model_server.models = [{"id": "hold", "object": "model"}]
    with Product(data_dir, tabby_host=model_server.url) as started:
        yield started


@pytest.fixture
def page(context: BrowserContext, product: Product) -> Page:
    """Signed in."""
    page = context.new_page()
    page.goto(f"{product.url}/login")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{product.url}/")
    return page


def ask(page: Page, model: ScriptedModel) -> None:
    """In a new chat; nothing of the answer has come yet."""
    page.goto(urljoin(page.url, "/"))
    expect(page.get_by_role("combobox", name="Model")).to_contain_text("hold")  # by the page's scripts
    page.get_by_role("textbox", name="Message").fill("Where to?")
    page.get_by_role("button", name="Send", exact=True).click()
    status(page, "streaming")
    model.wait_until(lambda: model.open == 1)


def status(page: Page, wanted: str) -> None:
    expect(page.get_by_role("article", name="Answer")).to_have_attribute("data-status", wanted)


def prose(page: Page) -> Locator:
    return page.get_by_role("article", name="Answer").locator(".prose")


def open_too(page: Page) -> Page:
    """The same conversation in another tab."""
    other = page.context.new_page()
    other.goto(page.url)
    return other


def markup(page: Page) -> list[str]:
    """Of question and answer."""
    found: list[str] = page.locator(".thread > .message").evaluate_all("all => all.map((each) => each.outerHTML)")
    return found


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_tab_ends_with_the_same_markup(page: Page, model_server: ScriptedModel, ending: str) -> None:
    model_server.pieces = PIECES
    for count in (2, 5, len(PIECES)):
        ask(page, model_server)
        early = open_too(page)
        model_server.release(1)
        expect(prose(page)).to_contain_text("Look at")
        in_the_middle = open_too(page)
        model_server.release(count - 1)
        expect(prose(page)).to_contain_text(LAST_WORDS[count])
        late = open_too(page)
        ENDINGS[ending](page, model_server)
        same_markup(ending, page, early, in_the_middle, late)


@pytest.mark.parametrize(("ending", "wanted"), [*zip(ENDINGS, ["stopped", "complete", "failed"], strict=True)])
def test_a_reply_without_a_word_has_the_same_markup_everywhere(
    page: Page, model_server: ScriptedModel, ending: str, wanted: str
) -> None:
    ask(page, model_server)
    other = open_too(page)
    status(other, "streaming")
    ENDINGS[ending](page, model_server)
    same_markup(wanted, page, other)


def same_markup(ending: str, *tabs: Page) -> None:
    """When the reply is over, in all of them and in a tab that is opened only now; closes all but the first."""
    loaded = open_too(tabs[0])
    for tab in (*tabs, loaded):
        status(tab, ending)
    assert [markup(tab) for tab in tabs] == [markup(loaded)] * len(tabs)
    for tab in (*tabs[1:], loaded):
        tab.close()


def test_what_comes_while_a_page_looks_again_is_shown_once(page: Page, model_server: ScriptedModel) -> None:
    ask(page, model_server)
    model_server.release(1)
    other = page.context.new_page()
    line = Line(other)
    other.goto(page.url)
    expect(other.get_by_text("Websockets do not get through")).to_be_visible()
    model_server.release(1)
    expect(prose(other)).to_have_text("t1 t2")  # fetched as a part of the page
    looks: list[Route] = []
    other.route("**/c/*/messages", lambda route: looks.append(route))  # noqa: PLW0108 -- Playwright inspects it
    line.is_open = True
    expect(other.locator(".connection")).to_be_hidden()
    model_server.release(1)
    expect(prose(other)).to_contain_text("t3")
    model_server.finish()
    status(other, "complete")
    looks[0].continue_()
    same_markup("complete", page, other)


class Line:
    """A page's line to its conversation, which is cut until it is open."""

    def __init__(self, page: Page) -> None:
        self.is_open = False
        page.route_web_socket("**/ws/conversations/**", self._connect)

    def _connect(self, socket: WebSocketRoute) -> None:
        if self.is_open:
            socket.connect_to_server()
        else:
            socket.close()
