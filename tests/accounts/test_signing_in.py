from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import aget_user, alogin, alogout
from django.http import HttpRequest
from django.test import Client

from apps.accounts.models import Session, User
from apps.accounts.sessions import SessionStore
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def log_in(client: Client, email: object, password: object = PASSWORD, **options):
    return client.post(
        "/api/auth/login",
        json.dumps({"email": email, "password": password}),
        content_type="application/json",
        **options,
    )


def test_login_answers_with_its_sentence_and_both_cookies(client: Client, alice: User) -> None:
    response = log_in(client, "Alice@Example.org")
    assert response.status_code == 200
    assert response.json() == {"message": "Login successful"}
    session, csrf = response.cookies["session_token"], response.cookies["csrftoken"]
    assert len(session.value) > 20
    assert session["httponly"]
    assert session["samesite"] == csrf["samesite"] == "Lax"
    assert session["max-age"] == 24 * 3600
    assert not session["secure"]
    assert client.get("/api/auth/me").json()["email"] == alice.email


def test_cookies_are_secure_where_the_public_address_is_https() -> None:
    code = "from gantry import settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE)"
    environment = {**os.environ, "PUBLIC_URL": "https://gantry.example.org"}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
    assert printed.stdout.split() == ["True", "True"]


def test_login_sends_the_secure_flag_when_so_configured(client: Client, alice: User, settings) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    response = log_in(client, alice.email)
    assert response.cookies["session_token"]["secure"]
    assert response.cookies["csrftoken"]["secure"]


@pytest.mark.parametrize("email", ["alice@example.org", "nobody@test.com"])
def test_wrong_password_and_unknown_address_are_the_same_401(client: Client, alice: User, email: str) -> None:
    response = log_in(client, email, "wrong")
    assert response.status_code == 401
    assert response.json() == {"detail": "Invalid credentials"}
    assert "WWW-Authenticate" in response.headers
    assert "session_token" not in response.cookies
    assert not Session.objects.exists()


def test_a_disabled_account_is_the_same_401(client: Client, alice: User) -> None:
    alice.disable()
    response = log_in(client, alice.email)
    assert (response.status_code, response.json()) == (401, {"detail": "Invalid credentials"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "alice@example.org"},
        {"email": True, "password": PASSWORD},
        {"email": 5, "password": PASSWORD},
        {"email": "alice@example.org", "password": 12345678},
        {"email": None, "password": PASSWORD},
        {"email": ["alice@example.org"], "password": PASSWORD},
        {"email": "alice@example.org", "password": "nul\0"},
        {"email": "alice\ud800@example.org", "password": PASSWORD},
        {"email": "alice@example.org", "password": "\ud800"},
        [],
        "text",
        None,
    ],
)
def test_login_refuses_what_is_missing_or_of_another_type(client: Client, alice: User, body: object) -> None:
    response = client.post("/api/auth/login", json.dumps(body), content_type="application/json")
    assert response.status_code == 422
    assert "detail" in response.json()


def test_unknown_fields_are_ignored(client: Client, alice: User) -> None:
    body = {"email": alice.email, "password": PASSWORD, "role": "admin"}
    assert client.post("/api/auth/login", body, content_type="application/json").status_code == 200
    assert client.get("/api/auth/me").json()["role"] == "user"


def test_the_password_is_not_trimmed(client: Client, alice: User) -> None:
    assert log_in(client, alice.email, f" {PASSWORD} ").status_code == 401


def test_me_is_oneself_without_a_hash(alice: User, browser_of) -> None:
    assert browser_of(alice).get("/api/auth/me").json() == {
        "id": alice.pk,
        "email": "alice@example.org",
        "username": "alice",
        "display_name": "Alice",
        "role": "user",
    }


def test_me_is_401_for_nobody_and_for_a_made_up_token(client: Client, alice: User) -> None:
    for token in (None, "invalid-token", "x" * 43):
        if token:
            client.cookies["session_token"] = token
        response = client.get("/api/auth/me")
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert "detail" in response.json()


def test_logout_ends_the_session_and_deletes_the_cookie(alice: User, browser_of) -> None:
    browser = browser_of(alice)
    token = browser.cookies["session_token"].value
    response = browser.post("/api/auth/logout")
    assert (response.status_code, response.json()) == (200, {"message": "Logout successful"})
    assert response.cookies["session_token"].value == ""
    assert not Session.objects.exists()
    thief = Client()
    thief.cookies["session_token"] = token
    assert thief.get("/api/auth/me").status_code == 401


def test_logout_is_200_also_for_nobody(client: Client) -> None:
    assert client.post("/api/auth/logout").status_code == 200
    client.cookies["session_token"] = "made-up-token"
    assert client.post("/api/auth/logout").status_code == 200
    assert client.post("/api/auth/logout", headers={"authorization": "Bearer nonsense"}).status_code == 200


def test_signing_in_gives_a_new_token_whoever_brought_one(client: Client, alice: User, bob: User) -> None:
    client.cookies["session_token"] = "planted-by-somebody-else"
    log_in(client, alice.email)
    first = client.cookies["session_token"].value
    assert first != "planted-by-somebody-else"
    log_in(client, alice.email)
    second = client.cookies["session_token"].value
    assert second != first
    log_in(client, bob.email)
    assert client.cookies["session_token"].value not in (first, second)
    assert Session.objects.count() == 1
    assert Session.objects.get().user == bob


def test_login_with_an_authorization_header_is_still_by_password(client: Client, alice: User) -> None:
    assert log_in(client, alice.email, headers={"authorization": "Bearer nonsense"}).status_code == 200


def test_signing_in_and_out_works_from_coroutines(alice: User) -> None:
    @async_to_sync
    async def journey() -> None:
        request = HttpRequest()
        request.session = SessionStore()
        await alogin(request, alice)
        await request.session.asave()
        assert 0 < await request.session.aget_expiry_age() <= 24 * 3600
        again = HttpRequest()
        again.session = SessionStore(request.session.session_key)
        assert await aget_user(again) == alice
        await alogout(again)

    journey()
    assert not Session.objects.exists()
