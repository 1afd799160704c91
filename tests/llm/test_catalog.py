"""Which models there are, which one answers when none is named, how much each can read."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytest_django import Settings

from apps.llm import catalog
from tests.scripted_model import ScriptedModel


def test_models_are_listed_in_the_order_of_the_server(scripted_model: ScriptedModel) -> None:
    scripted_model.models = [{"id": "b"}, {"id": "a", "name": "The A"}]
    assert [(model.id, model.name) for model in catalog.list_models()] == [("b", "b"), ("a", "The A")]


def test_without_a_word_from_the_server_the_first_one_is_active(scripted_model: ScriptedModel) -> None:
    scripted_model.models = [{"id": "b"}, {"id": "a"}]
    assert [model.active for model in catalog.list_models()] == [True, False]
    assert (active := catalog.active_model()) is not None
    assert active.id == "b"


def test_the_loaded_model_is_active_where_the_server_tells(scripted_model: ScriptedModel) -> None:
    scripted_model.models = [{"id": "b"}, {"id": "a"}]
    scripted_model.loaded = "a"
    assert [model.active for model in catalog.list_models()] == [False, True]


def test_a_loaded_model_that_is_not_listed_is_there_all_the_same(scripted_model: ScriptedModel) -> None:
    scripted_model.models = [{"id": "b"}]
    scripted_model.loaded = "hidden"
    assert [(model.id, model.active) for model in catalog.list_models()] == [("b", False), ("hidden", True)]


def test_with_nothing_loaded_none_is_active(scripted_model: ScriptedModel) -> None:
    scripted_model.loaded = ""
    assert catalog.list_models() != []
    assert catalog.active_model() is None


def test_an_unreachable_server_has_no_models(nobody_listens: str, settings: Settings) -> None:
    settings.TABBY_HOST = nobody_listens
    assert (catalog.list_models(), catalog.active_model(), catalog.is_reachable()) == ([], None, False)
    settings.TABBY_HOST = ""
    assert (catalog.list_models(), catalog.active_model(), catalog.is_reachable()) == ([], None, False)


@pytest.mark.parametrize(
    "script", ["status-500", "status-401", "say-2", "drop-1", "onlygarbage", "longline", "endless"]
)
def test_a_broken_server_has_no_models_either(scripted_model: ScriptedModel, script: str) -> None:
    scripted_model.catalog_script = script
    assert (catalog.list_models(), catalog.active_model()) == ([], None)


@pytest.mark.parametrize("script", ["mute", "hang-1", "comments-20"])
def test_a_silent_server_is_given_up_soon(
    scripted_model: ScriptedModel, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "REQUEST_SECONDS", 0.2)
    scripted_model.catalog_script = script
    started = time.monotonic()
    assert catalog.list_models() == []
    assert time.monotonic() - started < 1


def test_entries_that_make_no_sense_are_left_out(scripted_model: ScriptedModel) -> None:
    scripted_model.models = [{"id": 7}, {"id": ""}, {"id": "x\x00"}, {"id": "y" * 999}, {}, {"id": "ok", "name": 7}]
    assert [(model.id, model.name) for model in catalog.list_models()] == [("ok", "ok")]


def test_the_key_is_sent(scripted_model: ScriptedModel, settings: Settings) -> None:
    scripted_model.api_key = settings.LLM_API_KEY = "sesame"
    assert catalog.list_models() != []
    settings.LLM_API_KEY = ""
    assert catalog.list_models() == []


# --- How often the server is asked


def times_asked(server: ScriptedModel) -> int:
    return sum(request.path == "/v1/models" for request in list(server.requests))


async def test_turns_in_a_row_ask_the_server_once(scripted_model: ScriptedModel) -> None:
    for _ in range(5):
        assert await catalog.active_model_id() == "say-5"
    assert times_asked(scripted_model) == 1
    catalog.forget()
    assert await catalog.active_model_id() == "say-5"
    assert times_asked(scripted_model) == 2


async def test_turns_at_once_ask_the_server_once(scripted_model: ScriptedModel) -> None:
    assert set(await asyncio.gather(*(catalog.active_model_id() for _ in range(50)))) == {"say-5"}
    assert times_asked(scripted_model) == 1


def test_pages_at_once_ask_the_server_once(scripted_model: ScriptedModel) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda _: catalog.list_models(), range(8)))
    assert times_asked(scripted_model) == 1


async def test_a_turn_does_not_wait_for_news_of_what_was_known_lately(
    scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "FRESH_SECONDS", 0.0)
    assert await catalog.active_model_id() == "say-5"
    scripted_model.models = [{"id": "new"}]
    assert await catalog.active_model_id() == "say-5"
    await scripted_model.until(lambda: times_asked(scripted_model) == 2)
    assert [model.id for model in await asyncio.to_thread(catalog.list_models)] == ["new"]


async def test_a_server_that_comes_up_is_noticed(
    scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "FRESH_SECONDS_WHEN_DOWN", 0.0)
    scripted_model.catalog_script = "drop-0"
    assert await catalog.active_model_id() is None
    scripted_model.catalog_script = ""
    assert await catalog.active_model_id() == "say-5"


async def test_a_turn_that_is_cancelled_does_not_disturb_the_others(scripted_model: ScriptedModel) -> None:
    first, second = (asyncio.create_task(catalog.active_model_id()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "say-5"
    assert first.cancelled()


# --- How much a model can read


@pytest.mark.parametrize(
    ("said", "length"),
    [
        ({"max_model_len": 32_768}, 32_768),
        ({"meta": {"n_ctx_train": 8_192}}, 8_192),
        ({"meta": {"n_ctx_train": 131_072, "n_ctx": 4_096}}, 4_096),
        ({"context_length": 200_000}, 200_000),
        ({"parameters": {"max_seq_len": 16_384}}, 16_384),
        ({"max_model_len": "many"}, None),
        ({"max_model_len": 0}, None),
        ({"meta": [1]}, None),
        ({}, None),
    ],
)
async def test_the_context_length_is_what_the_server_says(
    scripted_model: ScriptedModel, said: dict[str, object], length: int | None
) -> None:
    scripted_model.models = [{"id": "m", **said}]
    assert await catalog.context_length("m") == length
    assert await catalog.context_length("unheard-of") is None


async def test_the_context_length_of_a_loaded_model_is_the_one_it_was_loaded_with(
    scripted_model: ScriptedModel,
) -> None:
    scripted_model.loaded = "say-5"
    assert await catalog.context_length("say-5") == 4096
