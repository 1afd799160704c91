from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import ApiToken, Session, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "a new and better one"


def test_it_shows_who_one_is_and_where_one_is_signed_in(alice: User, bob: User, browser_of) -> None:
    Session.objects.filter(user=bob).update(user_agent="Bob's browser")
    ApiToken.objects.issue(bob, "bob's token")
    ApiToken.objects.issue(alice, "alice's <token>")
    response = browser_of(alice).get("/settings")
    page = response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]
    assert "alice@example.org" in page
    assert 'value="Alice"' in page
    assert "This browser, now" in page
    assert "alice&#x27;s &lt;token&gt;" in page
    assert "bob" not in page.lower()


def test_a_new_name_is_kept(alice: User, browser_of) -> None:
    browser = browser_of(alice)
    response = browser.post("/settings/name", {"display_name": "Alice B."}, follow=True)
    assert "Your name is changed." in response.content.decode()
    alice.refresh_from_db()
    assert alice.display_name == "Alice B."
    empty = browser.post("/settings/name", {"display_name": " "})
    assert empty.status_code == 422
    assert 'id="id_display_name_error"' in empty.content.decode()


def test_a_new_password_ends_everything_but_this_browser(alice: User, browser_of, program_of) -> None:
    here, there, program = browser_of(alice), browser_of(alice), program_of(alice)
    response = here.post("/settings/password", {"current_password": PASSWORD, "new_password": NEW}, follow=True)
    assert "Your password is changed." in response.content.decode()
    assert User.objects.authenticate(alice.email, NEW) == alice
    assert there.get("/settings").status_code == 302
    assert program.get("/api/auth/me").status_code == 401


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [("wrong", NEW, "current_password"), (PASSWORD, "short", "new_password"), ("", NEW, "current_password")],
)
def test_a_password_that_will_not_do_is_said_beside_its_field(
    alice: User, browser_of, current: str, new: str, field: str
) -> None:
    response = browser_of(alice).post("/settings/password", {"current_password": current, "new_password": new})
    assert response.status_code == 422
    assert f'id="id_{field}_error"' in response.content.decode()
    assert User.objects.authenticate(alice.email, PASSWORD) == alice


def test_guessing_the_current_password_is_limited(alice: User, browser_of) -> None:
    browser = browser_of(alice)
    guess = {"current_password": "wrong", "new_password": NEW}
    assert {browser.post("/settings/password", guess).status_code for _ in range(5)} == {422}
    response = browser.post("/settings/password", guess | {"current_password": PASSWORD})
    assert response.status_code == 429
    assert "Retry-After" in response.headers
    assert "Too many attempts" in response.content.decode()


def test_one_browser_is_signed_out_and_not_somebody_elses(alice: User, bob: User, browser_of) -> None:
    here, there, stranger = browser_of(alice), browser_of(alice), browser_of(bob)
    newest = alice.sessions.order_by("-pk")[0].pk
    assert here.post(f"/settings/sessions/{bob.sessions.get().pk}/end").status_code == 404
    assert here.post(f"/settings/sessions/{newest}/end").status_code == 302
    assert there.get("/settings").status_code == 302
    assert here.get("/settings").status_code == 200
    assert stranger.get("/settings").status_code == 200


def test_everywhere_else_is_signed_out(alice: User, bob: User, browser_of, program_of) -> None:
    here, others = browser_of(alice), [browser_of(alice) for _ in range(3)]
    stranger, program = browser_of(bob), program_of(alice)
    assert here.post("/settings/sessions/others/end").status_code == 302
    assert here.get("/settings").status_code == 200
    assert {other.get("/settings").status_code for other in others} == {302}
    assert stranger.get("/settings").status_code == 200
    assert program.get("/api/auth/me").status_code == 200


def test_a_token_is_shown_once_and_works(alice: User, browser_of) -> None:
    browser = browser_of(alice)
    response = browser.post("/settings/tokens", {"name": "backup", "days": "30"})
    assert response.status_code == 201
    assert "no-store" in response.headers["Cache-Control"]
    (plaintext,) = re.findall(r'value="(gantry_[^"]+)"', response.content.decode())
    program = Client(headers={"authorization": f"Bearer {plaintext}"})
    assert program.get("/api/auth/me").json()["id"] == alice.pk
    expires_at = ApiToken.objects.get().expires_at
    assert expires_at
    assert expires_at - timezone.now() == pytest.approx(timedelta(days=30), abs=timedelta(minutes=1))
    page = browser.get("/settings").content.decode()
    assert "backup" in page
    assert plaintext not in page


def test_a_token_may_have_no_end(alice: User, browser_of) -> None:
    assert browser_of(alice).post("/settings/tokens", {"name": "backup", "days": ""}).status_code == 201
    assert ApiToken.objects.get().expires_at is None


@pytest.mark.parametrize("wrong", [{"name": ""}, {"name": "x" * 101}, {"days": "7000"}, {"days": "soon"}])
def test_a_token_asked_for_wrongly_is_not_made(alice: User, browser_of, wrong: dict[str, str]) -> None:
    response = browser_of(alice).post("/settings/tokens", {"name": "x", "days": "30"} | wrong)
    assert response.status_code == 422
    assert not ApiToken.objects.exists()


def test_a_token_is_deleted_by_its_owner_only(alice: User, bob: User, browser_of, program_of) -> None:
    program = program_of(alice)
    pk = alice.api_tokens.get().pk
    assert browser_of(bob).post(f"/settings/tokens/{pk}/delete").status_code == 404
    assert program.get("/api/auth/me").status_code == 200
    assert browser_of(alice).post(f"/settings/tokens/{pk}/delete").status_code == 302
    assert program.get("/api/auth/me").status_code == 401


@pytest.mark.parametrize(
    "path", ["name", "password", "sessions/others/end", "sessions/1/end", "tokens", "tokens/1/delete"]
)
def test_changes_are_posts_of_ones_own_pages(
    alice: User, browser_of, strict_browser_of, client: Client, path: str
) -> None:
    assert browser_of(alice).get(f"/settings/{path}").status_code == 405
    assert strict_browser_of(alice).post(f"/settings/{path}").status_code == 403
    assert client.post(f"/settings/{path}").headers["Location"].startswith("/login?next=")
