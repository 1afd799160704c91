"""The models over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from tests.scripted_model import ScriptedModel

BrowserOf = Callable[[User], Client]


def test_whoever_is_signed_in_reads_the_models_and_nobody_else(
    scripted_model: ScriptedModel, alice: User, browser_of: BrowserOf, client: Client
) -> None:
    scripted_model.models = [{"id": "b"}, {"id": "a", "name": "The A"}]
    response = browser_of(alice).get("/api/models")
    assert response.status_code == 200
    assert response.json() == {
        "models": [{"id": "b", "name": "b", "active": True}, {"id": "a", "name": "The A", "active": False}]
    }
    refused = client.get("/api/models")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"]


def test_whoever_is_signed_in_reads_the_active_model_and_nobody_else(
    scripted_model: ScriptedModel, alice: User, browser_of: BrowserOf, client: Client
) -> None:
    scripted_model.loaded = "echo"
    response = browser_of(alice).get("/api/models/active")
    assert response.status_code == 200
    assert response.json() == {"model": {"id": "echo", "name": "echo"}}
    assert client.get("/api/models/active").status_code == 401


@pytest.mark.parametrize("address", ["", "nonsense://"])
def test_without_a_model_server_the_list_is_empty_and_the_active_model_null(
    settings: Settings, alice: User, browser_of: BrowserOf, address: str
) -> None:
    settings.TABBY_HOST = address
    browser = browser_of(alice)
    assert browser.get("/api/models").json() == {"models": []}
    assert browser.get("/api/models/active").json() == {"model": None}


def test_an_unreachable_model_server_is_no_error(
    nobody_listens: str, settings: Settings, alice: User, browser_of: BrowserOf
) -> None:
    settings.TABBY_HOST = nobody_listens
    browser = browser_of(alice)
    assert browser.get("/api/models").json() == {"models": []}
    assert browser.get("/api/models/active").json() == {"model": None}


def test_only_reading_is_possible(alice: User, browser_of: BrowserOf) -> None:
    browser = browser_of(alice)
    assert browser.post("/api/models").status_code == 405
    assert browser.delete("/api/models/active").status_code == 405
