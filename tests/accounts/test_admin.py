from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.forms import UserForm
from apps.accounts.models import ApiToken, Session, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
USERS = "/admin/accounts/user/"


@pytest.fixture
def admin(root: User, browser_of) -> Client:
    """The operator's browser."""
    return browser_of(root)


def test_only_admins_enter_and_by_the_login_that_counts_attempts(
    client: Client, alice: User, browser_of, admin
) -> None:
    response = client.get(USERS, follow=True)
    assert [url for url, _ in response.redirect_chain] == [
        f"/admin/login/?next={USERS}",
        f"/login?next={USERS}",
    ]
    form = {"username": alice.email, "password": PASSWORD}
    assert client.post("/admin/login/", form).headers["Location"] == "/login?next=/admin/"
    assert browser_of(alice).get(USERS, follow=True).status_code == 403
    assert admin.get(USERS).status_code == 200


def test_the_list_finds_and_filters(admin: Client, alice: User, bob: User) -> None:
    bob.disable()
    assert "bob@example.org" not in admin.get(USERS, {"q": "ali"}).content.decode()
    page = admin.get(USERS, {"is_active__exact": "0", "role__exact": "user"}).content.decode()
    assert "bob@example.org" in page
    assert "alice@example.org" not in page


def test_an_account_is_made_with_a_password_that_signs_in(admin: Client) -> None:
    form = {
        "email": "New@Example.org",
        "display_name": "New",
        "role": "user",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    assert admin.post(f"{USERS}add/", form).status_code == 302
    user = User.objects.authenticate("new@example.org", PASSWORD)
    assert user
    assert (user.username, user.role) == ("new", "user")
    again = admin.post(f"{USERS}add/", form | {"email": "NEW@example.org"})
    assert "has an account already" in again.content.decode()
    weak = admin.post(f"{USERS}add/", form | {"email": "w@example.org", "password1": "short", "password2": "short"})
    assert "too short" in weak.content.decode()


def change(admin: Client, user: User, **values: str):
    form = {"email": user.email, "display_name": user.display_name, "role": user.role, "is_active": "on"} | values
    return admin.post(f"{USERS}{user.pk}/change/", {name: value for name, value in form.items() if value})


def test_disabling_and_changing_a_role_take_effect(admin: Client, alice: User, bob: User, browser_of) -> None:
    browser = browser_of(alice)
    assert change(admin, alice, role="admin").status_code == 302
    assert browser.get("/api/auth/me").json()["role"] == "admin"
    assert change(admin, alice, is_active="").status_code == 302
    assert browser.get("/api/auth/me").status_code == 401
    assert not alice.sessions.exists()


def test_another_password_ends_what_the_old_one_opened(admin: Client, alice: User, browser_of, program_of) -> None:
    browser, program = browser_of(alice), program_of(alice)
    assert f"{USERS}{alice.pk}/password/" in admin.get(f"{USERS}{alice.pk}/change/").content.decode()
    form = {"password1": "a new and better one", "password2": "a new and better one", "usable_password": "true"}
    assert admin.post(f"{USERS}{alice.pk}/password/", form).status_code == 302
    assert browser.get("/api/auth/me").status_code == 401
    assert program.get("/api/auth/me").status_code == 401
    assert User.objects.authenticate(alice.email, "a new and better one") == alice


def test_changing_ones_own_password_there_signs_out_everywhere_else(admin: Client, root: User, browser_of) -> None:
    there = browser_of(root)
    ends_at = {session.expires_at for session in root.sessions.all()}
    form = {"password1": "a new and better one", "password2": "a new and better one", "usable_password": "true"}
    assert admin.post(f"{USERS}{root.pk}/password/", form).status_code == 302
    assert admin.get(USERS).status_code == 200
    assert there.get(USERS).status_code == 302
    assert root.sessions.get().expires_at in ends_at


def test_ones_own_password_is_changed_on_the_page_that_counts_guesses(admin: Client) -> None:
    form = {"old_password": PASSWORD, "new_password1": "a new one, better", "new_password2": "a new one, better"}
    assert admin.post("/admin/password_change/", form).headers["Location"] == "/settings"
    assert User.objects.authenticate("root@example.org", PASSWORD)


def test_nobody_demotes_disables_or_deletes_themselves(admin: Client, root: User, alice: User) -> None:
    alice.set_role("admin")
    change(admin, root, role="user", is_active="")
    admin.post(f"{USERS}{root.pk}/delete/", {"post": "yes"})
    admin.post(USERS, {"action": "delete_selected", "_selected_action": [root.pk, alice.pk], "post": "yes"})
    root.refresh_from_db()
    assert (root.role, root.is_active) == ("admin", True)
    assert User.objects.filter(pk=alice.pk).exists()


def test_the_last_admin_is_spared_with_a_sentence(admin: Client, root: User, alice: User) -> None:
    page = admin.get(f"{USERS}{root.pk}/delete/").content.decode()
    assert "Your own account." in page
    assert "This is the last active admin." in page
    alice.set_role("admin")
    assert change(admin, alice, role="user").status_code == 302
    assert User.objects.active_admins().get() == root


def test_the_form_spares_the_last_admin_also_from_an_admin_disabled_a_moment_ago(root: User) -> None:
    form = UserForm({"email": root.email, "display_name": "Root", "role": "user", "is_active": "on"}, instance=root)
    assert form.errors == {"__all__": ["This is the last active admin. Make somebody else an admin first."]}


def test_an_accounts_page_is_titled_by_its_address(admin: Client, alice: User) -> None:
    page = admin.get(f"{USERS}{alice.pk}/change/").content.decode()
    assert "<h2>alice@example.org</h2>" in page
    assert "<title>alice@example.org |" in page
    assert "<h2>" not in admin.get(f"{USERS}add/").content.decode().split('id="content-main"')[0]


def test_deleting_an_account_leaves_nothing_of_it(
    admin: Client, alice: User, browser_of, program_of, stolen_database
) -> None:
    browser_of(alice), program_of(alice)
    assert change(admin, alice, display_name="Alice Canary").status_code == 302
    assert admin.post(f"{USERS}{alice.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    stolen = stolen_database().lower()
    assert "alice" not in stolen
    assert "canary" not in stolen


def test_sessions_and_tokens_are_listed_without_hashes_and_can_only_be_deleted(
    admin: Client, alice: User, browser_of, program_of
) -> None:
    browser, program = browser_of(alice), program_of(alice)
    for row, kind in ((alice.sessions.get(), "session"), (alice.api_tokens.get(), "apitoken")):
        base = f"/admin/accounts/{kind}/"
        pages = [admin.get(base), admin.get(f"{base}{row.pk}/change/"), admin.get(f"{USERS}{alice.pk}/change/")]
        for page in pages:
            assert page.status_code == 200
            text = page.content.decode()
            assert "alice@example.org" in text
            for secret in (*Session.objects.values_list("key_hash", "data"), *ApiToken.objects.values_list("digest")):
                assert not any(part in text for part in secret)
            assert not any(part in text for part in alice.password.split("$") if len(part) > 12)
        assert admin.get(f"{base}add/").status_code == 403
        assert admin.post(f"{base}{row.pk}/change/", {"name": "x"}).status_code == 403
        assert admin.post(f"{base}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert browser.get("/api/auth/me").status_code == 401
    assert program.get("/api/auth/me").status_code == 401
