from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import Session, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def form(user: User, password: str = PASSWORD) -> dict[str, str]:
    return {"email": user.email, "password": password}


def test_a_private_page_asks_to_sign_in_and_then_shows_itself(client: Client, alice: User) -> None:
    response = client.get("/settings")
    assert (response.status_code, response.headers["Location"]) == (302, "/login?next=/settings")
    page = client.get("/login?next=/settings")
    assert page.status_code == 200
    assert "no-store" in page.headers["Cache-Control"]
    done = client.post("/login?next=/settings", form(alice))
    assert (done.status_code, done.headers["Location"]) == (302, "/settings")
    assert client.get("/settings").status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "https://testserver.evil.example",
    ],
)
def test_next_leads_nowhere_else(client: Client, alice: User, elsewhere: str) -> None:
    response = client.post(f"/login?next={elsewhere}", form(alice))
    assert response.headers["Location"] == "/"
    assert client.get(f"/login?next={elsewhere}").headers["Location"] == "/"


def test_a_wrong_password_is_said_and_the_address_kept(client: Client, alice: User) -> None:
    response = client.post("/login", form(alice, "wrong"))
    page = response.content.decode()
    assert response.status_code == 422
    assert "do not belong together" in page
    assert 'value="alice@example.org"' in page
    assert "wrong" not in page
    assert not Session.objects.exists()


def test_too_many_attempts_are_said_plainly(client: Client, alice: User) -> None:
    for _ in range(5):
        client.post("/login", form(alice, "wrong"))
    response = client.post("/login", form(alice))
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert "Wait 15 minutes and try again." in response.content.decode()


def test_page_and_api_share_the_count(client: Client, alice: User) -> None:
    for _ in range(5):
        client.post("/login", form(alice, "wrong"))
    assert client.post("/api/auth/login", form(alice), content_type="application/json").status_code == 429


def test_whoever_is_signed_in_goes_on(alice: User, browser_of) -> None:
    assert browser_of(alice).get("/login?next=/settings").headers["Location"] == "/settings"


def test_signing_out_is_a_post_and_ends_the_session(alice: User, browser_of, strict_browser_of) -> None:
    browser = browser_of(alice)
    assert browser.get("/logout").status_code == 405
    assert strict_browser_of(alice).post("/logout").status_code == 403
    Session.objects.exclude(pk=Session.objects.order_by("pk")[0].pk).delete()
    assert browser.post("/logout").headers["Location"] == "/login"
    assert not Session.objects.exists()
    assert browser.get("/settings").status_code == 302


@pytest.mark.parametrize("name", ["abc", "logout"])
def test_next_is_an_address_and_no_name_of_a_route(alice: User, client: Client, name: str) -> None:
    client.force_login(alice)
    assert client.get("/login", {"next": name})["Location"] == name


def test_signing_in_again_after_sending_a_settings_form_leads_to_the_settings(alice: User, client: Client) -> None:
    client.force_login(alice)
    assert client.get("/login", {"next": "/settings/tokens"})["Location"] == "/settings"
