from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.authentication import credential_from_headers
from apps.accounts.models import ApiToken, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
JSON = "application/json"


def test_an_unsafe_request_by_cookie_needs_its_csrf_token(alice: User, strict_browser_of) -> None:
    browser = strict_browser_of(alice)
    body = {"email": alice.email, "password": PASSWORD}
    token = browser.post("/api/auth/login", body, content_type=JSON).cookies["csrftoken"].value
    assert browser.get("/api/auth/me").status_code == 200
    refused = browser.post("/api/auth/tokens", {"name": "x"}, content_type=JSON)
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]
    wrong = browser.post("/api/auth/tokens", {"name": "x"}, content_type=JSON, headers={"x-csrftoken": "x" * 32})
    assert wrong.status_code == 403
    right = browser.post("/api/auth/tokens", {"name": "x"}, content_type=JSON, headers={"x-csrftoken": token})
    assert right.status_code == 201


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://testserver.evil.example", "null", "http://testserver:81"]
)
def test_a_foreign_origin_is_refused_even_with_the_token(alice: User, strict_browser_of, origin: str) -> None:
    browser = strict_browser_of(alice)
    token = browser.get("/login").cookies.get("csrftoken")
    body = {"email": alice.email, "password": PASSWORD}
    token = browser.post("/api/auth/login", body, content_type=JSON).cookies["csrftoken"].value
    headers = {"x-csrftoken": token, "origin": origin}
    assert browser.post("/api/auth/tokens", {"name": "x"}, content_type=JSON, headers=headers).status_code == 403
    headers["origin"] = "http://testserver"
    assert browser.post("/api/auth/tokens", {"name": "x"}, content_type=JSON, headers=headers).status_code == 201


@pytest.mark.parametrize("route", ["login", "logout"])
def test_login_and_logout_need_no_token_but_no_other_site_may_send_them(
    alice: User, strict_browser_of, route: str
) -> None:
    browser = strict_browser_of(alice)
    body = {"email": alice.email, "password": PASSWORD}
    for origin in ("https://evil.example", "null"):
        refused = browser.post(f"/api/auth/{route}", body, content_type=JSON, headers={"origin": origin})
        assert refused.status_code == 403
        assert refused.json()["detail"]
    assert alice.sessions.count() == 1
    ours = browser.post(f"/api/auth/{route}", body, content_type=JSON, headers={"origin": "http://testserver"})
    assert ours.status_code == 200


def test_another_sites_form_cannot_sign_anybody_in(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    form = {"email": alice.email, "password": PASSWORD}
    assert client.post("/api/auth/login", form).status_code == 415
    assert client.post("/login", form).status_code == 403
    assert not alice.sessions.exists()


def test_a_handshakes_headers_speak_for_whoever_they_carry(alice: User, bob: User, browser_of) -> None:
    cookie = f"theme=dark; session_token={browser_of(alice).cookies['session_token'].value}"
    row, plaintext = ApiToken.objects.issue(bob, "socket")
    by_cookie = credential_from_headers({"cookie": cookie})
    assert by_cookie
    assert (by_cookie.user, by_cookie.session_id, by_cookie.token_id) == (alice, alice.sessions.get().pk, None)
    by_token = credential_from_headers({"authorization": f"Bearer {plaintext}", "cookie": cookie})
    assert by_token
    assert (by_token.user, by_token.session_id, by_token.token_id) == (bob, None, row.pk)


def test_headers_of_nobody_speak_for_nobody(alice: User, browser_of) -> None:
    cookie = f"session_token={browser_of(alice).cookies['session_token'].value}"
    for headers in (
        {},
        {"cookie": "session_token=made-up-token"},
        {"cookie": "session_token="},
        {"authorization": "Bearer nonsense", "cookie": cookie},
        {"authorization": "", "cookie": cookie},
    ):
        assert credential_from_headers(headers) is None
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert credential_from_headers({"cookie": cookie}) is None
