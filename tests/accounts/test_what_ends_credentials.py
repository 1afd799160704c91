"""Whatever door a password, role or account is changed by, what was granted on the old one ends."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command

from apps.accounts.models import User

pytestmark = pytest.mark.django_db


def by_changepassword(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["typed at the terminal"] * 2)
    monkeypatch.setattr("getpass.getpass", lambda **_: next(typed))
    call_command("changepassword", user.email, stdout=StringIO())


def by_save(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.set_password("another one")
    user.save()


def by_save_of_one_field(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.set_password("another one")
    user.save(update_fields=["password"])


def by_assigning_a_hash(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.password = make_password("another one")
    user.save()


def by_update(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.filter(pk=user.pk).update(password=make_password("another one"))


def by_bulk_update(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.is_active = False
    User.objects.bulk_update([user], ["is_active"])


def by_an_instance_without_the_field(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = User.objects.only("email").get(pk=user.pk)
    partial.is_active = False
    partial.save()


def by_an_instance_made_by_hand(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    User(pk=user.pk, email=user.email, username=user.username, password=user.password, is_active=False).save()


def by_disabling(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.disable()


def by_an_unusable_password(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.set_unusable_password()
    user.save()


@pytest.mark.parametrize(
    "door",
    [
        by_changepassword,
        by_save,
        by_save_of_one_field,
        by_assigning_a_hash,
        by_update,
        by_bulk_update,
        by_an_instance_without_the_field,
        by_an_instance_made_by_hand,
        by_disabling,
        by_an_unusable_password,
    ],
    ids=lambda door: door.__name__,
)
def test_sessions_and_tokens_end(
    alice: User, bob: User, browser_of, program_of, monkeypatch, door: Callable[[User, pytest.MonkeyPatch], None]
) -> None:
    browser, program, stranger = browser_of(alice), program_of(alice), browser_of(bob)
    assert browser.get("/api/auth/me").status_code == program.get("/api/auth/me").status_code == 200
    revision = User.objects.get(pk=alice.pk).revision
    door(alice, monkeypatch)
    assert browser.get("/api/auth/me").status_code == 401
    assert program.get("/api/auth/me").status_code == 401
    assert not alice.sessions.exists()
    assert not alice.api_tokens.exists()
    assert User.objects.get(pk=alice.pk).revision == revision + 1
    assert stranger.get("/api/auth/me").status_code == 200


@pytest.mark.parametrize(
    "door",
    [
        lambda user: user.set_role("admin"),
        lambda user: User.objects.filter(pk=user.pk).update(role="admin"),
        lambda user: User.objects.update_or_create(pk=user.pk, defaults={"role": "admin"}),
    ],
)
def test_another_role_counts_at_the_next_request_and_signs_nobody_out(alice: User, browser_of, door) -> None:
    browser = browser_of(alice)
    door(alice)
    assert browser.get("/api/auth/me").json()["role"] == "admin"
    assert User.objects.get(pk=alice.pk).revision == 1


def test_what_changes_nothing_guarded_ends_nothing(alice: User, browser_of, program_of) -> None:
    browser, program = browser_of(alice), program_of(alice)
    alice.rename("Alice B.")
    alice.save()
    User.objects.filter(pk=alice.pk).update(display_name="Alice C.")
    assert browser.get("/api/auth/me").json()["display_name"] == "Alice C."
    assert program.get("/api/auth/me").status_code == 200
    assert User.objects.get(pk=alice.pk).revision == 0


def test_an_instance_read_long_ago_does_not_turn_the_revision_back(alice: User, root: User) -> None:
    stale = User.objects.get(pk=alice.pk)
    for _ in range(3):
        alice.set_role("admin" if alice.role == "user" else "user")
    stale.save()
    assert User.objects.get(pk=alice.pk).revision >= 3
