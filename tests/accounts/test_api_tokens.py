from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import ApiToken, User

pytestmark = pytest.mark.django_db
JSON = "application/json"


def bearer(token: str) -> Client:
    return Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {token}"})


def test_a_token_is_shown_once_and_opens_the_api(alice: User, browser_of, stolen_database) -> None:
    browser = browser_of(alice)
    response = browser.post("/api/auth/tokens", {"name": "backup"}, content_type=JSON)
    assert response.status_code == 201
    made = response.json()
    assert set(made) == {"id", "name", "token", "expires_at"}
    assert (made["name"], made["expires_at"]) == ("backup", None)
    assert bearer(made["token"]).get("/api/auth/me").json()["id"] == alice.pk
    (listed,) = browser.get("/api/auth/tokens").json()
    assert set(listed) == {"id", "name", "created_at", "expires_at", "last_used_at"}
    assert listed["last_used_at"]
    assert made["token"] not in stolen_database()


def test_a_program_needs_no_csrf_token(alice: User, program_of) -> None:
    response = program_of(alice).post("/api/auth/tokens", {"name": "another"}, content_type=JSON)
    assert response.status_code == 201


@pytest.mark.parametrize(
    "header", ["Bearer nonsense", "Bearer", "Bearer ", "Basic YTpi", "nonsense", "Token x", "", "Bearer ü"]
)
def test_a_request_with_an_authorization_never_falls_back_to_the_cookie(alice: User, browser_of, header: str) -> None:
    browser = browser_of(alice)
    response = browser.get("/api/auth/me", headers={"authorization": header})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_request_with_both_is_the_tokens(alice: User, bob: User, browser_of) -> None:
    _, plaintext = ApiToken.objects.issue(bob, "bob's")
    response = browser_of(alice).get("/api/auth/me", headers={"authorization": f"bearer {plaintext}"})
    assert response.json()["id"] == bob.pk


def test_a_token_ends_when_it_said(alice: User, browser_of) -> None:
    soon = timezone.now() + timedelta(days=1)
    body = {"name": "brief", "expires_at": soon.isoformat()}
    made = browser_of(alice).post("/api/auth/tokens", body, content_type=JSON).json()
    assert bearer(made["token"]).get("/api/auth/me").status_code == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert bearer(made["token"]).get("/api/auth/me").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": 5},
        {"name": True},
        {"name": "x" * 101},
        {"name": "nul\0"},
        {"name": "x", "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "x", "expires_at": "tomorrow"},
        {"name": "x", "expires_at": 5},
        {"name": "x", "expires_at": True},
        {"name": "x", "expires_at": "9999-12-31T23:59:59-23:59"},
    ],
)
def test_a_token_asked_for_wrongly_is_422(alice: User, browser_of, body: dict[str, object]) -> None:
    response = browser_of(alice).post("/api/auth/tokens", body, content_type=JSON)
    assert response.status_code == 422
    assert response.json()["errors"]
    assert not ApiToken.objects.exists()


def test_a_deleted_token_is_no_token(alice: User, bob: User, browser_of, program_of) -> None:
    program = program_of(alice)
    pk = alice.api_tokens.get().pk
    missing = browser_of(bob).delete(f"/api/auth/tokens/{pk + 1000}")
    theirs = browser_of(bob).delete(f"/api/auth/tokens/{pk}")
    assert (theirs.status_code, theirs.content) == (404, missing.content)
    assert program.get("/api/auth/me").status_code == 200
    assert browser_of(alice).delete(f"/api/auth/tokens/{pk}").status_code == 204
    assert program.get("/api/auth/me").status_code == 401


def test_a_disabled_users_token_is_refused_and_others_are_not(alice: User, bob: User, program_of) -> None:
    alices, bobs = program_of(alice), program_of(bob)
    alice.disable()
    assert alices.get("/api/auth/me").status_code == 401
    assert bobs.get("/api/auth/me").status_code == 200


def test_use_is_noted_at_most_once_a_minute(alice: User, program_of, django_assert_num_queries) -> None:
    program = program_of(alice)
    program.get("/api/auth/me")
    with django_assert_num_queries(1):
        program.get("/api/auth/me")


def test_a_program_has_no_session_to_call_current(alice: User, browser_of, program_of) -> None:
    browser_of(alice)
    (row,) = program_of(alice).get("/api/auth/sessions").json()
    assert row["current"] is False
