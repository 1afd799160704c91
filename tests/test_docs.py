"""The documents are held against the code: what they name exists, and what exists is named."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import tomllib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import environ
import pytest
from drf_spectacular.generators import SchemaGenerator

from apps.accounts import serializers as accounts
from apps.accounts import sockets
from apps.conversations import engine
from apps.conversations.api import FRAMES, created_frame
from apps.conversations.consumers import ConversationConsumer, PersonalConsumer
from apps.conversations.engine import events
from apps.conversations.html_stream import HtmlStream
from apps.conversations.models import Conversation, Message
from apps.core.errors import GantryError
from apps.core.realtime import JsonConsumer, error_frame
from apps.memory import serializers as memory
from apps.musehub import events as studio
from apps.musehub.consumers import StudioConsumer
from apps.musehub.models import Activity
from gantry import settings, urls

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NOT_IN_SCHEMA = {("GET", "/health"), ("GET", "/api/schema"), ("GET", "/api/docs")}
# Modules that many apps have, which the tree leaves out.
ALIKE = {
    "__init__",
    "admin",
    "api",
    "api_urls",
    "apps",
    "consumers",
    "forms",
    "routing",
    "serializers",
    "urls",
    "views",
}

Fields = dict[str, frozenset[str]]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """What stands below a heading, down to the next one of any level."""
    return re.split(rf"^#+ {re.escape(heading)}$", page, flags=re.MULTILINE)[1].partition("\n#")[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every row of its tables, without the heads."""
    for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def codes(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


def first_column(text: str) -> list[str]:
    return [code for cells in rows(text) for code in codes(cells[0])]


# --- Settings


def read_in_settings() -> dict[str, tuple[str, object]]:
    """Of each variable, how it is read and its default; `...` where it has none."""
    calls = {}
    for node in ast.walk(ast.parse(read("gantry/settings.py"))):
        match node:
            case ast.Call(ast.Attribute(ast.Name("env"), kind), [ast.Constant(str(name))], keywords):
                defaults = [ast.literal_eval(each.value) for each in keywords if each.arg == "default"]
                calls[name] = (kind, *(defaults or [...]))
    return calls


def test_every_setting_is_documented_with_its_default() -> None:
    lines = [line for line in read(".env.example").splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    code = read_in_settings()
    table = {codes(name)[0]: default for name, default, _ in rows(section(read("README.md"), "Configuration"))}

    assert set(example) == set(code)
    assert list(example) == list(table)
    shown = {name: f"`{value}`" if value else "empty" for name, value in example.items()}
    assert table == {**shown, "SECRET_KEY": "random"}
    assert code.pop("SECRET_KEY") == ("str", ...)
    reader = environ.Env()
    reader.ENVIRON = example
    assert {name: getattr(reader, kind)(name) for name, (kind, _) in code.items()} == {
        name: default for name, (_, default) in code.items()
    }


def test_every_line_of_the_example_says_why() -> None:
    lines = [line for line in read(".env.example").splitlines() if line]
    for above, line in pairwise(lines):
        assert line.startswith("#") or above.startswith("# "), line


# --- The protocol


@pytest.fixture
def protocol() -> str:
    return read("docs/protocol.md")


def test_every_route_is_documented_and_no_other(protocol: str) -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    named = {tuple(each.split(" ")) for each in codes(protocol) if re.match(r"(GET|POST|PUT|PATCH|DELETE) /", each)}
    assert named == routes | NOT_IN_SCHEMA


def taken(operation: dict[str, Any], components: dict[str, Any]) -> set[str]:
    """The names in a request's body and query, as the OpenAPI schema has them."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields = components[body["$ref"].rpartition("/")[2]]["properties"] if "$ref" in body else {}
    writable = {name for name, field in fields.items() if not field.get("readOnly")}
    return writable | {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}


def test_every_request_is_documented_with_what_it_takes(protocol: str) -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    for heading in ("Accounts", "Conversations", "Memory", "MuseHub"):
        for request, takes, _ in rows(section(protocol, heading)):
            method, path = codes(request)[0].split(" ")
            operation = schema["paths"][path][method.lower()]
            documented = {re.findall(r"\w+", each)[0] for each in codes(takes)}
            assert documented == taken(operation, schema["components"]["schemas"]), request


def test_every_object_is_documented_with_its_fields(protocol: str) -> None:
    for heading, fields in {
        "Conversation": events.ConversationJSON.__annotations__,
        "Message": events.MessageJSON.__annotations__,
        "Usage": events.UsageJSON.__annotations__,
        "Error": events.ErrorJSON.__annotations__,
        "User": accounts.UserSerializer().fields,
        "Session": accounts.SessionSerializer().fields,
        "API token": accounts.TokenSerializer().fields,
        "Repo": studio.RepoJSON.__annotations__,
        "Recording session": studio.SessionJSON.__annotations__,
        "Collaborator": studio.CollaboratorJSON.__annotations__,
        "Activity": studio.ActivityJSON.__annotations__,
        "Remembered": memory.MemoryJSON.__annotations__,
        "Entity": memory.EntityJSON.__annotations__,
        "Relation": memory.RelationJSON.__annotations__,
    }.items():
        described = next(re.finditer(r"(?:^\|.*\n)+", section(protocol, heading), flags=re.MULTILINE))[0]
        assert first_column(described) == list(fields), heading


def test_every_status_of_a_message_is_documented(protocol: str) -> None:
    assert set(first_column(section(protocol, "Message"))) >= set(Message.Status.values)


def frames_documented(text: str) -> Fields:
    """From a table of frames, or of commands, to the fields that each carries."""
    return {name: frozenset(codes(cells[1])) for cells in rows(text) for name in codes(cells[0])}


def frames_typed(module: ModuleType = events) -> Fields:
    """From the TypedDicts of the engine's events, or of another module's."""
    found: Fields = {}
    for event in vars(module).values():
        hints = get_type_hints(event) if is_typeddict(event) else {}
        if get_origin(hints.get("type")) is Literal:
            found |= dict.fromkeys(get_args(hints["type"]), frozenset(hints) - {"type"})
    return found


async def frames_of_sockets() -> Fields:
    """What sockets send beside the engine's events: a refusal, a pong, HTML."""
    sent: list[dict[str, Any]] = [error_frame(GantryError(), "one")]
    rendered = asyncio.Event()

    async def send(frame: Any) -> None:
        sent.append(frame)
        rendered.set()

    await PersonalConsumer.pong(SimpleNamespace(send_event=send), {})
    rendered.clear()
    HtmlStream(send).take({"message_id": 1, "seq": 1, "text": "Hello"})
    await rendered.wait()
    return {frame["type"]: frozenset(frame) - {"type"} for frame in sent}


async def test_every_frame_of_a_socket_is_documented_with_its_fields(protocol: str) -> None:
    text = section(protocol, "Server to client")
    assert frames_documented(text) == frames_typed() | await frames_of_sockets()


def test_what_html_adds_to_frames_is_documented(protocol: str) -> None:
    added = set(re.findall(r'\{\*\*\w+, "(\w+)":', inspect.getsource(ConversationConsumer)))
    assert added == {"blocks", "html"}
    paragraph = section(protocol, "Server to client").partition("With `?render=html`, ")[2].partition("\n\n")[0]
    assert added <= set(codes(paragraph))


def commands(consumer: type[JsonConsumer]) -> Fields:
    """Of each command, the fields of the serializer that checks it."""
    found = {}
    for name, method in consumer.commands.items():
        function = getattr(consumer, method)
        checked_by = re.search(r"validated\((\w+),", inspect.getsource(function))
        found[name] = frozenset(function.__globals__[checked_by[1]]().fields if checked_by else ())
    return found


def test_every_command_of_a_socket_is_documented_with_its_fields(protocol: str) -> None:
    text = section(protocol, "Client to server")
    assert frames_documented(text) == commands(ConversationConsumer)
    assert commands(PersonalConsumer) == {"ping": frozenset()}


def test_every_frame_of_a_studios_socket_is_documented_with_its_fields(protocol: str) -> None:
    documented = frames_documented(section(protocol, "Studio"))
    assert documented.pop("pong") == frozenset()
    snapshot = re.search(r'{"type": "(studio\.snapshot)", (.*)}', inspect.getsource(StudioConsumer))
    assert snapshot
    assert documented.pop(snapshot[1]) == set(re.findall(r'"(\w+)":', snapshot[2]))
    assert documented == frames_typed(studio)
    assert commands(StudioConsumer) == {"ping": frozenset()}


def test_every_kind_of_activity_is_documented(protocol: str) -> None:
    kinds = next(cells for cells in rows(section(protocol, "Activity")) if codes(cells[0]) == ["kind"])
    assert codes(kinds[1]) == Activity.Kind.values


def test_every_close_code_is_documented(protocol: str) -> None:
    used = {value for name, value in vars(sockets).items() if name.isupper() and isinstance(value, int)}
    assert {int(code) for code, _ in rows(section(protocol, "Close codes"))} == used


def test_every_frame_of_an_event_stream_is_documented_with_its_fields(protocol: str) -> None:
    typed = frames_typed()
    streamed = {frame: typed[event] for event, frame in FRAMES.items()}
    message = Message()
    message.siblings = []
    name, data = created_frame(engine.Turn(Conversation(), message, message))
    expected = {**streamed, name: frozenset(data), "snapshot": typed["conversation.snapshot"]}
    assert frames_documented(section(protocol, "Event streams")) == expected


def errors(base: type[GantryError] = GantryError) -> Iterator[type[GantryError]]:
    yield base
    for error in base.__subclasses__():
        yield from errors(error)


def test_every_code_is_documented_with_its_status(protocol: str) -> None:
    listed = {codes(code)[0]: status for code, status, *_ in rows(section(protocol, "Codes"))}
    ours = {error.code: str(error.status) for error in errors() if error.__module__.startswith("apps.")}
    beside = {"permission_denied": "403", "internal": "500"}
    assert all(f'"code": "{code}"}}, status={status}' in inspect.getsource(urls) for code, status in beside.items())
    assert listed == {**ours, **beside, engine.boots.ORPHAN_CODE: ""}


def test_every_websocket_is_documented(protocol: str) -> None:
    from apps.conversations import routing as conversations
    from apps.musehub import routing as musehub

    routes = [*conversations.websocket_urlpatterns, *musehub.websocket_urlpatterns]
    served = {re.sub(r"<[^>]+>", "{id}", f"/{route.pattern}") for route in routes}
    assert {each for each in codes(protocol) if each.startswith("/ws/")} == served


# --- The architecture


def direct_dependencies(name: str) -> set[str]:
    lines = read(name).splitlines()
    return {re.split(r"[\[<>=]", line)[0].strip() for line in lines if line and not line.startswith(("#", "-"))}


def test_every_direct_dependency_has_its_licence_and_its_why() -> None:
    asked_for = set().union(
        *map(direct_dependencies, ("requirements.in", "requirements-dev.in", "requirements-model.in"))
    )
    table = {name: (licence, why) for name, licence, why in rows(section(read("docs/architecture.md"), "Dependencies"))}
    assert set(table) == asked_for
    assert all(licence and why for licence, why in table.values())


def drawn(tree: str) -> Iterator[Path]:
    """The paths in a tree that is drawn by indentation."""
    above: list[str] = []
    for line in tree.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        above[depth:] = [line.split()[0]]
        yield Path("".join(part if part.endswith("/") else f"{part}/" for part in above))


def test_the_tree_names_what_there_is() -> None:
    paths = set(drawn(section(read("docs/architecture.md"), "The tree").split("```")[1]))
    assert [str(path) for path in paths if not (ROOT / path).exists()] == []
    modules = [*ROOT.glob("gantry/*.py"), *ROOT.glob("apps/*/*.py"), *ROOT.glob("apps/*/engine/*.py")]
    ours = {path.relative_to(ROOT) for path in modules if path.stem not in ALIKE}
    assert ours <= paths


# --- All of them


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterable[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`([\w/]+\.py)::(\w+)`", read("docs/seeds.md")))
    assert len(named) > 30
    missing = [f"{path}::{name}" for path, name in sorted(named) if f"def {name}(" not in read(f"tests/{path}")]
    assert missing == []


def test_each_of_the_seeds_tests_has_its_counterpart() -> None:
    page = read("docs/seeds.md")
    counterparts = [
        (seed, codes(tests))
        for part in re.findall(r"^##+ ((?:Task|Layer) \d.*)$", page, re.MULTILINE)
        for seed, _, _, tests in rows(section(page, part))
    ]
    assert len(counterparts) == 59 + 52
    assert all(seed.startswith("test_") and tests for seed, tests in counterparts)


def test_the_version_is_the_same_everywhere() -> None:
    newest = re.search(r"^## \[([\d.]+)\]", read("CHANGELOG.md"), flags=re.MULTILINE)
    assert newest
    assert newest[1] == settings.VERSION == tomllib.loads(read("pyproject.toml"))["project"]["version"]
