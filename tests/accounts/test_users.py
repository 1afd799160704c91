from __future__ import annotations

from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, authenticate
from django.contrib.auth.hashers import check_password
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from apps.accounts.errors import EmailTaken, LastAdmin
from apps.accounts.models import User
from tests.conftest import PASSWORD
from tests.hashers import QuickBCryptSHA256PasswordHasher

pytestmark = pytest.mark.django_db


class CountingHasher(QuickBCryptSHA256PasswordHasher):
    """Counts how often bcrypt ran."""

    runs = 0

    def encode(self, password: str, salt: bytes) -> str:
        type(self).runs += 1
        return super().encode(password, salt)


class StrongerHasher(QuickBCryptSHA256PasswordHasher):
    """The same with more rounds, as after an upgrade."""

    rounds = 5


def test_create_user_returns_a_stored_user_with_the_role_user() -> None:
    user = User.objects.create_user("a@b.com", "pass", "Alice")
    assert user.pk
    assert (user.email, user.display_name, user.role) == ("a@b.com", "Alice", "user")
    assert not user.is_staff
    assert not user.is_superuser


def test_create_user_takes_a_role_and_an_admin_may_enter_the_admin() -> None:
    root = User.objects.create_user("admin@b.com", "pass", "Admin", role="admin")
    assert root.role == "admin"
    assert root.is_staff
    assert root.has_perm("accounts.delete_user")


def test_an_unknown_role_is_refused_by_the_database(alice: User) -> None:
    with pytest.raises(IntegrityError):
        User.objects.filter(pk=alice.pk).update(role="emperor")


def test_a_password_is_stored_hashed_with_bcrypt_and_checks() -> None:
    user = User.objects.create_user("a@b.com", "secret", "Alice")
    assert "secret" not in user.password
    assert user.password.startswith("bcrypt_sha256$")
    assert check_password("secret", user.password)
    assert not check_password("wrong", user.password)


def test_a_password_longer_than_bcrypt_reads_counts_to_its_last_byte() -> None:
    long = "ü" * 100
    user = User.objects.create_user("a@b.com", long + "a", "Alice")
    assert user.check_password(long + "a")
    assert not user.check_password(long + "b")


def test_an_address_is_one_account_in_whatever_case_it_is_typed(alice: User) -> None:
    assert User.objects.authenticate("ALICE@Example.ORG", PASSWORD) == alice
    with pytest.raises(EmailTaken):
        User.objects.create_user(" Alice@EXAMPLE.org", "pass", "Imposter")
    bare = User(email="ALICE@example.org", username="other", display_name="x")
    with pytest.raises(IntegrityError):
        bare.save()


@pytest.mark.parametrize(
    ("email", "username"),
    [
        ("jane.doe+lists@example.org", "jane-doe-lists"),
        ("ALICE@example.org", "alice"),
        ("Zoë_B@example.org", "zoe-b"),
        ("x@example.org", "user-x"),
        ("日本@example.org", "user"),
        (f"{'long' * 16}@example.org", "long" * 8),
    ],
)
def test_a_username_is_made_from_the_local_part(email: str, username: str) -> None:
    user = User.objects.create_user(email, "pass")
    assert user.username == username
    user.clean_fields(exclude=["email"])


def test_a_taken_username_gets_a_number() -> None:
    names = [User.objects.create_user(f"sam@{n}.example", "pass").username for n in range(3)]
    assert names == ["sam", "sam-2", "sam-3"]


@pytest.mark.django_db(transaction=True)
def test_a_crowd_with_the_same_local_part_gets_different_usernames(crowd: Callable[..., list[str]]) -> None:
    names = crowd(8, lambda n: User.objects.create_user(f"sam@{n}.example", "pass").username)
    assert sorted(names) == sorted(["sam", *(f"sam-{n}" for n in range(2, 9))])


def test_authenticate_returns_the_user_only_for_the_right_password(alice: User) -> None:
    assert User.objects.authenticate(alice.email, PASSWORD) == alice
    assert User.objects.authenticate(alice.email, "wrong") is None
    assert User.objects.authenticate("unknown@b.com", PASSWORD) is None


def test_a_disabled_user_does_not_authenticate(alice: User) -> None:
    alice.disable()
    assert User.objects.authenticate(alice.email, PASSWORD) is None
    alice.enable()
    assert User.objects.authenticate(alice.email, PASSWORD) == alice


def test_django_authenticates_by_email_also_from_a_coroutine(alice: User) -> None:
    assert async_to_sync(aauthenticate)(email=alice.email, password=PASSWORD) == alice
    assert async_to_sync(aauthenticate)(username=alice.email, password="wrong") is None
    assert async_to_sync(alice.acheck_password)(PASSWORD)


def test_an_unknown_address_costs_as_many_hashes_as_a_wrong_password(settings, alice: User) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    CountingHasher.runs = 0
    assert authenticate(email=alice.email, password="wrong") is None
    known, CountingHasher.runs = CountingHasher.runs, 0
    assert authenticate(email="unknown@b.com", password="wrong") is None
    assert CountingHasher.runs == known == 1


def test_a_weaker_hash_is_replaced_at_sign_in_which_ends_nothing(settings, alice: User, browser_of) -> None:
    browser = browser_of(alice)
    revision, old = alice.revision, alice.password
    settings.PASSWORD_HASHERS = [f"{__name__}.StrongerHasher"]
    assert User.objects.authenticate(alice.email, PASSWORD) == alice
    alice.refresh_from_db()
    assert alice.password != old
    assert alice.revision == revision
    assert browser.get("/api/auth/me").status_code == 200


def test_a_rehash_does_not_bring_back_a_password_that_was_changed_meanwhile(settings, alice: User) -> None:
    stale = User.objects.get(pk=alice.pk)
    alice.change_password("another password")
    settings.PASSWORD_HASHERS = [f"{__name__}.StrongerHasher"]
    assert stale.check_password(PASSWORD)
    alice.refresh_from_db()
    assert alice.check_password("another password")


def test_createsuperuser_works_without_a_terminal_and_makes_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "Op@Example.org")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    monkeypatch.setenv("DJANGO_SUPERUSER_DISPLAY_NAME", "The Operator")
    call_command("createsuperuser", interactive=False, verbosity=0)
    operator = User.objects.get()
    assert (operator.email, operator.role, operator.display_name) == ("op@example.org", "admin", "The Operator")
    assert User.objects.authenticate("op@example.org", PASSWORD) == operator
    with pytest.raises(CommandError, match="already taken"):
        call_command("createsuperuser", interactive=False, verbosity=0)


def test_the_last_admin_stays_one(root: User, alice: User) -> None:
    for refused in (lambda: root.set_role("user"), root.disable):
        with pytest.raises(LastAdmin):
            refused()
    alice.set_role("admin")
    root.set_role("user")
    root.refresh_from_db()
    assert root.role == "user"


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_at_once_do_not_both_succeed(root: User, crowd) -> None:
    other = User.objects.create_user("other@example.org", PASSWORD, "Other", role="admin")

    def demote(number: int) -> bool:
        try:
            User.objects.get(pk=(root.pk, other.pk)[number]).set_role("user")
        except LastAdmin:
            return False
        return True

    assert sorted(crowd(2, demote)) == [False, True]
    assert User.objects.active_admins().count() == 1
