from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from apps.accounts.models import Session, User
from apps.accounts.sessions import SessionStore
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def sign_in(user: User, **options) -> Client:
    client = Client(**options)
    body = {"email": user.email, "password": PASSWORD}
    assert client.post("/api/auth/login", body, content_type="application/json").status_code == 200
    return client


def test_a_leaked_database_opens_no_session(alice: User, stolen_database) -> None:
    token = sign_in(alice).cookies["session_token"].value
    stolen = stolen_database()
    assert token not in stolen
    thief = Client()
    thief.cookies["session_token"] = Session.objects.get().key_hash
    assert thief.get("/api/auth/me").status_code == 401


def test_an_expired_session_signs_nobody_in(alice: User, browser_of) -> None:
    browser = browser_of(alice)
    assert browser.get("/api/auth/me").status_code == 200
    Session.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    response = browser.get("/api/auth/me")
    assert response.status_code == 401
    assert response.cookies["session_token"].value == ""


def test_a_session_ends_a_fixed_time_after_signing_in_however_busy_it_is(alice: User) -> None:
    browser = sign_in(alice)
    session = Session.objects.get()
    assert session.expires_at - session.created_at == pytest.approx(timedelta(hours=24), abs=timedelta(seconds=5))
    soon = timezone.now() + timedelta(minutes=5)
    Session.objects.update(expires_at=soon)
    store = SessionStore(browser.cookies["session_token"].value)
    store["something"] = "kept"
    store.save()
    assert store.get_expiry_age() <= 300
    store.cycle_key()
    store.save()
    assert Session.objects.get().expires_at == soon
    assert SessionStore(store.session_key)["something"] == "kept"


def test_a_visitor_leaves_no_row_and_gets_no_session_cookie(client: Client, alice: User) -> None:
    response = client.get("/login")
    assert "session_token" not in response.cookies
    store = SessionStore()
    store["something"] = "thrown away"
    store.save()
    assert not Session.objects.exists()


def test_a_session_that_was_ended_meanwhile_is_not_brought_back(alice: User, browser_of) -> None:
    store = SessionStore(browser_of(alice).cookies["session_token"].value)
    assert store[SESSION_KEY] == str(alice.pk)
    Session.objects.all().delete()
    store["something"] = 1
    with pytest.raises(UpdateError):
        store.save()
    assert not Session.objects.exists()


def test_clearsessions_sweeps_what_expired_and_nothing_else(alice: User, bob: User, browser_of) -> None:
    browser_of(alice)
    browser_of(bob)
    alice.sessions.update(expires_at=timezone.now())
    call_command("clearsessions")
    assert [session.user for session in Session.objects.all()] == [bob]


def test_last_seen_is_written_at_most_once_a_minute(alice: User, browser_of, django_assert_num_queries) -> None:
    browser = browser_of(alice)
    with django_assert_num_queries(1):
        browser.get("/api/auth/me")
    long_ago = timezone.now() - timedelta(seconds=61)
    Session.objects.update(last_seen_at=long_ago)
    browser.get("/api/auth/me")
    assert timezone.now() - Session.objects.get().last_seen_at < timedelta(seconds=5)


def test_the_list_shows_ones_own_live_sessions_and_which_is_this(alice: User, bob: User, browser_of) -> None:
    sign_in(alice, headers={"user-agent": "Old Browser"})
    Session.objects.update(expires_at=timezone.now())
    browser_of(bob)
    here = sign_in(alice, headers={"user-agent": "N" * 1000})
    there = sign_in(alice, headers={"user-agent": "Phone"})
    rows = {row["user_agent"]: row for row in here.get("/api/auth/sessions").json()}
    assert set(rows) == {"Phone", "N" * 300}
    assert set(rows["Phone"]) == {"id", "created_at", "last_seen_at", "address", "user_agent", "current"}
    assert rows["Phone"]["address"] == "127.0.0.1"
    assert not rows["Phone"]["current"]
    assert rows["N" * 300]["current"]
    assert {row["user_agent"] for row in there.get("/api/auth/sessions").json() if row["current"]} == {"Phone"}


def test_signing_another_browser_out_ends_it_and_only_it(alice: User, browser_of) -> None:
    here, there = browser_of(alice), browser_of(alice)
    (other,) = [row["id"] for row in here.get("/api/auth/sessions").json() if not row["current"]]
    assert here.delete(f"/api/auth/sessions/{other}").status_code == 204
    assert there.get("/api/auth/me").status_code == 401
    assert here.get("/api/auth/me").status_code == 200


def test_somebody_elses_session_looks_like_none(alice: User, bob: User, browser_of) -> None:
    browser_of(bob)
    theirs = bob.sessions.get()
    browser = browser_of(alice)
    answers = [browser.delete(f"/api/auth/sessions/{pk}") for pk in (theirs.pk, theirs.pk + 1000, 10**19, 10**30)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert bob.sessions.exists()


def test_deleting_an_account_ends_its_sessions_and_tokens(alice: User, browser_of, program_of) -> None:
    browser, program = browser_of(alice), program_of(alice)
    alice.delete()
    assert browser.get("/api/auth/me").status_code == 401
    assert program.get("/api/auth/me").status_code == 401
    assert not Session.objects.exists()


def test_an_account_deleted_while_it_signs_in_leaves_no_session(transactional_db: None) -> None:
    user = User.objects.create_user("a@b.com", PASSWORD, "A")
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    user.delete()
    with pytest.raises(UpdateError):
        store.save()
