"""A credential asked for while its account changes is refused: nothing is granted on what no longer holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.errors import SignedOut
from apps.accounts.models import ApiToken, Session, User
from tests.conftest import PASSWORD
from tests.hashers import QuickBCryptSHA256PasswordHasher

pytestmark = pytest.mark.django_db


class SlowHasher(QuickBCryptSHA256PasswordHasher):
    """Something happens while it works."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def verify(self, password: str, encoded: str) -> bool:
        is_right = super().verify(password, encoded)
        type(self).meanwhile()
        return is_right


@pytest.mark.parametrize(
    "meanwhile",
    [lambda user: user.change_password("another one"), lambda user: user.disable(), lambda user: user.delete()],
    ids=["password", "disabled", "deleted"],
)
@pytest.mark.parametrize("door", ["/api/auth/login", "/login"])
def test_nobody_gets_in_by_a_password_that_was_checked_before_it_changed(
    client: Client, alice: User, settings, monkeypatch, meanwhile: Callable[[User], object], door: str
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.SlowHasher"]
    monkeypatch.setattr(SlowHasher, "meanwhile", staticmethod(lambda: meanwhile(User.objects.get())))
    body = {"email": alice.email, "password": PASSWORD}
    response = client.post(door, body, content_type="application/json") if "api" in door else client.post(door, body)
    assert response.status_code in (401, 422)
    assert "session_token" not in response.cookies
    assert not Session.objects.exists()


def test_no_token_is_made_for_an_account_that_changed_since_it_was_read(alice: User, bob: User) -> None:
    ApiToken.objects.issue(bob, "in time")
    bob.api_tokens.get()
    stale = User.objects.get(pk=bob.pk)
    bob.change_password("another one")
    with pytest.raises(SignedOut):
        ApiToken.objects.issue(stale, "too late")
    assert not ApiToken.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_sign_ins_that_race_a_new_password_leave_no_session_on_the_old_one(alice: User, crowd) -> None:
    body = {"email": alice.email, "password": PASSWORD}

    def member(number: int) -> str:
        if number == 0:
            User.objects.get(pk=alice.pk).change_password("another one")
            return ""
        client = Client(REMOTE_ADDR=f"192.0.2.{number}")
        client.post("/api/auth/login", body, content_type="application/json")
        return client.cookies["session_token"].value if "session_token" in client.cookies else ""

    for token in filter(None, crowd(12, member)):
        late = Client()
        late.cookies["session_token"] = token
        assert late.get("/api/auth/me").status_code == 401
    assert not Session.objects.exists()
