"""The whole as it is put together: headers, health, the API's schema and its reader, the admin, static files."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from drf_spectacular.generators import SchemaGenerator

from apps.accounts.models import ApiToken, User
from apps.conversations import engine
from apps.conversations.models import Conversation, Message
from apps.musehub import recorder
from apps.musehub.models import FeedAddress
from tests.scripted_model import ScriptedModel

BrowserOf = Callable[[User], Client]
JSON = "application/json"


# --- Headers


@pytest.fixture
def pages(alice: User, browser_of: BrowserOf) -> list[Any]:
    """Pages of every kind, as they are answered."""
    conversation = Conversation.objects.create(owner=alice)
    turn = engine.begin(conversation, content="Hello?")
    turn.reply.finish(Message.Status.COMPLETE, content="# Well.")
    browser = browser_of(alice)
    mine = [browser.get(path) for path in ("/", f"/c/{conversation.pk}", "/settings", "/nowhere")]
    return [*mine, Client().get("/login"), browser.get("/api/docs")]


def test_every_page_carries_the_security_headers(pages: list[Any]) -> None:
    for page in pages:
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_every_page_has_a_policy_under_which_no_text_becomes_script(pages: list[Any]) -> None:
    for page in pages:
        directives = {
            name: sources.split()
            for name, _, sources in (each.strip().partition(" ") for each in policy_of(page).split(";"))
        }
        assert directives["default-src"] == ["'self'"]
        assert directives["object-src"] == directives["base-uri"] == directives["frame-ancestors"] == ["'none'"]
        assert directives["form-action"] == directives["connect-src"] == ["'self'"]
        assert set(directives["img-src"]) <= {"'self'", "data:"}
        assert not {"script-src", "style-src"} & set(directives)
        assert not re.search(r"unsafe|\*|https?:", policy_of(page))


def policy_of(page: Any) -> str:
    policy: str = page.headers["Content-Security-Policy"]
    return policy


class Loaded(HTMLParser):
    """What a page would run or load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._is_in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._is_in_script = tag == "script" and "src" not in named and named.get("type") in (None, "module")
        self.inline += [name for name in named if name.startswith("on")]
        self.inline += ["javascript:" for value in named.values() if (value or "").startswith("javascript:")]
        if tag in ("script", "img", "iframe", "source") and named.get("src"):
            self.addresses.append(named["src"] or "")
        if tag == "link" and named.get("href"):
            self.addresses.append(named["href"] or "")

    def handle_data(self, data: str) -> None:
        if self._is_in_script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._is_in_script = False


def test_no_page_has_inline_script_or_loads_anything_from_elsewhere(pages: list[Any]) -> None:
    for page in pages:
        loaded = Loaded(page.content.decode())
        assert loaded.inline == []
        assert loaded.addresses
        assert [each for each in loaded.addresses if not re.match(r"/(?!/)|data:image/|\?", each)] == []


def status_of(client: Client, path: str) -> int:
    """The status of a file, which is then closed."""
    response = client.get(path)
    response.close()
    return response.status_code


def test_what_pages_load_is_there(pages: list[Any], client: Client) -> None:
    for page in pages:
        for address in Loaded(page.content.decode()).addresses:
            if address.startswith("/"):
                assert status_of(client, address) == 200, address


def test_the_text_of_a_conversation_is_not_kept_by_a_cache(alice: User, browser_of: BrowserOf) -> None:
    page = browser_of(alice).get("/")
    assert "Cookie" in page.headers["Vary"]


# --- Unknown pages


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/nowhere", "/apiary", "/c/abc", "/static/nowhere.css"])
def test_an_unknown_page_is_a_404_page(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_strangers_conversation_and_a_missing_one_are_the_same_page(
    alice: User, bob: User, browser_of: BrowserOf
) -> None:
    canary = Conversation.objects.create(owner=alice, title="Canary")
    browser = browser_of(bob)
    theirs, missing = browser.get(f"/c/{canary.pk}"), browser.get("/c/99999")
    assert theirs.status_code == missing.status_code == 404
    assert b"Canary" not in theirs.content
    assert len(theirs.content) == len(missing.content)


@pytest.mark.django_db
def test_a_foreign_host_is_refused_in_the_language_of_whoever_asks(client: Client) -> None:
    assert client.get("/login", headers={"host": "evil.example"}).status_code == 400
    response = client.get("/api/auth/me", headers={"host": "evil.example"})
    assert (response.status_code, response.headers["Content-Type"]) == (400, JSON)
    assert response.json()["detail"]


# --- Health


@pytest.mark.django_db
def test_health_is_told_to_anybody(client: Client, settings: Any) -> None:
    settings.TABBY_HOST = ""
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": "healthy",
        "version": "2.0.0",
        "checks": {"database": "ok", "llm": "off", "memory": "ok"},
    }


@pytest.mark.django_db
def test_health_with_a_model_server(client: Client, scripted_model: ScriptedModel) -> None:
    assert client.get("/health").json()["checks"]["llm"] == "ok"
    assert client.get("/health").json()["status"] == "healthy"


@pytest.mark.django_db
def test_health_is_degraded_without_the_model_server_and_no_more_than_that(client: Client, settings: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.TABBY_HOST = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        response = client.get("/health")
    assert response.status_code == 200
    assert (response.json()["status"], response.json()["checks"]["llm"]) == ("degraded", "down")


@pytest.fixture
def database_down(transactional_db: None) -> Iterator[None]:
    """A database that cannot be opened."""
    if connection.vendor != "sqlite":
        pytest.skip("the file of SQLite is moved away")
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = "/nowhere/at/all.db"
    yield
    connection.close()
    connection.settings_dict["NAME"] = name


@pytest.mark.usefixtures("database_down")
def test_without_the_database_health_and_the_api_say_503(client: Client, settings: Any) -> None:
    settings.TABBY_HOST = ""
    response = client.get("/health")
    assert response.status_code == 503
    assert (response.json()["status"], response.json()["checks"]["database"]) == ("degraded", "down")
    client.cookies["session_token"] = "somebody's"
    for headers in ({"authorization": "Bearer x"}, {}):
        response = client.get("/api/chat/conversations", headers=headers)
        assert (response.status_code, response.headers["Content-Type"]) == (503, JSON)
        assert response.json()["detail"] == "The database does not answer. Try again in a moment."


# --- The schema


def api_routes(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api_routes(pattern.url_patterns, route)
        elif route.startswith("/api"):
            yield re.sub(r"<int:pk>", "{id}", re.sub(r"<\w+:(\w+_id)>", r"{\1}", route)), pattern.callback


def test_the_schema_covers_every_route_and_method_of_the_api() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    described = {(path, method) for path, operations in schema["paths"].items() for method in operations}
    views = {path: view.cls for path, view in api_routes(get_resolver().url_patterns)}
    assert {"/api/schema", "/api/docs"} <= views.keys()
    served = {
        (path, method)
        for path, view in views.items()
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(view, method) and path not in ("/api/schema", "/api/docs")
    }
    assert described == served


def test_the_schema_is_made_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--fail-on-warn", "--validate")
    assert "openapi: 3" in capsys.readouterr().out


@pytest.mark.django_db
def test_the_schema_is_for_anybody_and_names_both_ways_to_say_who_asks(client: Client) -> None:
    schema = client.get("/api/schema", headers={"accept": "application/vnd.oai.openapi+json"}).json()
    schemes = schema["components"]["securitySchemes"]
    assert {(each.get("scheme"), each.get("name")) for each in schemes.values()} == {
        ("bearer", None),
        (None, "session_token"),
    }
    assert schema["info"]["version"] == "2.0.0"
    assert {name for each in schema["paths"]["/api/chat/conversations"]["get"]["security"] for name in each} == set(
        schemes
    )


# --- The admin


CHANGELISTS = [
    reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
]


@pytest.fixture
def something_everywhere(alice: User) -> None:
    """A row of every kind, so that each list has something to show."""
    conversation = Conversation.objects.create(owner=alice, title="Canary")
    engine.begin(conversation, content="Hello?").reply.finish(Message.Status.COMPLETE, content="Well.")
    ApiToken.objects.issue(alice, "script")
    repo = recorder.open_repo(alice, name="Canary", visibility="private")
    recorder.start(repo, alice, notes="Canary")
    FeedAddress.objects.issue(alice, repo)


@pytest.mark.usefixtures("something_everywhere")
@pytest.mark.parametrize("path", ["/admin/", *CHANGELISTS])
def test_the_admin_opens_for_an_operator_and_for_nobody_else(
    path: str, root: User, alice: User, browser_of: BrowserOf
) -> None:
    operator = browser_of(root)
    for query in ("", "?q=canary", "?q=%00", "?p=99999"):
        assert operator.get(f"{path}{query}", follow=True).status_code == 200
    refused = browser_of(alice).get(path, follow=True)
    assert refused.status_code == 403
    assert b"Canary" not in refused.content
    assert Client().get(path, follow=True).request["PATH_INFO"] == "/login"


@pytest.mark.usefixtures("something_everywhere")
def test_every_row_opens_in_the_admin(root: User, browser_of: BrowserOf) -> None:
    operator = browser_of(root)
    for model in admin.site._registry:
        row = model._default_manager.first()
        if row is not None:
            path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
            assert operator.get(path).status_code == 200, path


def test_an_operator_changes_and_deletes_a_conversation_and_the_log_keeps_nothing_of_it(
    root: User, alice: User, browser_of: BrowserOf
) -> None:
    conversation = Conversation.objects.create(owner=alice, title="Canary")
    before = conversation.updated_at
    operator = browser_of(root)
    path = reverse("admin:conversations_conversation_change", args=[conversation.pk])
    operator.post(path, {"title": "Canary again", "model": "", "archived": "on", "memory": "on"})
    conversation.refresh_from_db()
    assert (conversation.title, conversation.archived, conversation.updated_at) == ("Canary again", True, before)
    operator.post(reverse("admin:conversations_conversation_delete", args=[conversation.pk]), {"post": "yes"})
    assert not Conversation.objects.exists()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert "Canary" not in repr(cursor.fetchall()), table


def test_messages_are_read_only_in_the_admin(root: User, alice: User, browser_of: BrowserOf) -> None:
    conversation = Conversation.objects.create(owner=alice)
    question = engine.begin(conversation, content="Hello?").question
    operator = browser_of(root)
    for action in ("change", "delete"):
        path = reverse(f"admin:conversations_message_{action}", args=[question.pk])
        assert operator.post(path, {"content": "Other", "post": "yes"}).status_code == 403
    assert operator.get(reverse("admin:conversations_message_add")).status_code == 403
    question.refresh_from_db()
    assert question.content == "Hello?"


# --- Static files


@pytest.mark.django_db
def test_static_files_are_served_without_debug_and_nothing_beside_them(client: Client, settings: Any) -> None:
    assert settings.DEBUG is False
    found = [path for finder in finders.get_finders() for path, _ in finder.list([]) if path.endswith((".css", ".js"))]
    assert found
    for path in found[:20]:
        assert status_of(client, f"/static/{path}") == 200, path
    for path in ("/static/../manage.py", "/static/..%2fmanage.py", "/static/%2e%2e/gantry/settings.py", "/manage.py"):
        assert status_of(client, path) == 404


@pytest.mark.django_db
def test_who_asks_for_an_icon_without_being_told_where_is_led_to_that_of_the_pages(client: Client) -> None:
    linked = re.search(r'<link rel="icon" href="([^"]+)"', client.get("/login", follow=True).content.decode())
    assert linked
    response = client.get("/favicon.ico")
    assert (response.status_code, response["Location"]) == (302, linked[1])
    assert status_of(client, response["Location"]) == 200
    assert client.post("/favicon.ico").status_code == 405


@pytest.mark.django_db
def test_there_is_a_migration_for_every_model() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_the_browsable_list_of_conversations_opens(alice: User, browser_of: Callable[[User], Client]) -> None:
    page = browser_of(alice).get("/api/chat/conversations", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")


@pytest.mark.django_db
def test_the_schemas_page_is_for_reading(client: Client) -> None:
    assert client.options("/api/docs").status_code == 405
