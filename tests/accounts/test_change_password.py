from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import Session, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "a new and better one"


def change(client: Client, current: object = PASSWORD, new: object = NEW):
    body = {"current_password": current, "new_password": new}
    return client.post("/api/auth/change-password", body, content_type="application/json")


def test_a_new_password_signs_in_and_the_old_one_does_not(alice: User, browser_of) -> None:
    response = change(browser_of(alice))
    assert response.status_code == 200
    assert "message" in response.json()
    assert User.objects.authenticate(alice.email, NEW) == alice
    assert User.objects.authenticate(alice.email, PASSWORD) is None


def test_this_session_goes_on_and_every_other_credential_ends(alice: User, bob: User, browser_of, program_of) -> None:
    here, there, program = browser_of(alice), browser_of(alice), program_of(alice)
    stranger, strangers_program = browser_of(bob), program_of(bob)
    assert change(here).status_code == 200
    assert here.get("/api/auth/me").status_code == 200
    assert there.get("/api/auth/me").status_code == 401
    assert program.get("/api/auth/me").status_code == 401
    assert stranger.get("/api/auth/me").status_code == 200
    assert strangers_program.get("/api/auth/me").status_code == 200


def test_a_wrong_current_password_is_400_and_changes_nothing(alice: User, browser_of) -> None:
    there = browser_of(alice)
    response = change(browser_of(alice), current="wrong")
    assert response.status_code == 400
    assert response.json()["detail"] == "The current password is not right."
    assert there.get("/api/auth/me").status_code == 200
    assert User.objects.authenticate(alice.email, PASSWORD) == alice


def test_guessing_the_current_password_is_limited(alice: User, browser_of) -> None:
    browser = browser_of(alice)
    assert {change(browser, current="wrong").status_code for _ in range(5)} == {400}
    response = change(browser)
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "new", ["short", "password", "alice@example.org", "", None, 12345678, True, "nul\0nul\0nul", "\ud800" * 9]
)
def test_a_password_that_will_not_do_is_422_and_says_why(alice: User, browser_of, new: object) -> None:
    response = change(browser_of(alice), new=new)
    assert response.status_code == 422
    assert response.json()["errors"]["new_password"]
    assert User.objects.authenticate(alice.email, PASSWORD) == alice


def test_nobody_changes_no_password(client: Client, alice: User) -> None:
    assert change(client).status_code == 401


def test_a_program_may_change_it_and_ends_itself_with_it(alice: User, program_of) -> None:
    program = program_of(alice)
    assert change(program).status_code == 200
    assert program.get("/api/auth/me").status_code == 401
    assert not Session.objects.exists()
