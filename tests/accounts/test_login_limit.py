from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import LoginAttempt, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def log_in(client: Client, password: str, email: str = "alice@example.org", address: str = "192.0.2.1"):
    body = {"email": email, "password": password}
    return client.post("/api/auth/login", body, content_type="application/json", REMOTE_ADDR=address)


def fail_five_times(client: Client) -> None:
    for _ in range(5):
        assert log_in(client, "wrong").status_code == 401


def test_after_five_failures_even_the_right_password_has_to_wait(client: Client, alice: User) -> None:
    fail_five_times(client)
    response = log_in(client, PASSWORD)
    assert response.status_code == 429
    assert 890 <= int(response.headers["Retry-After"]) <= 900
    assert "Wait 15 minutes" in response.json()["detail"]


def test_the_case_of_the_address_does_not_give_more_tries(client: Client, alice: User) -> None:
    fail_five_times(client)
    assert log_in(client, PASSWORD, email="ALICE@example.org").status_code == 429


def test_somebody_elses_address_or_account_is_not_held_up(client: Client, alice: User, bob: User) -> None:
    fail_five_times(client)
    assert log_in(client, PASSWORD, address="192.0.2.2").status_code == 200
    assert log_in(client, PASSWORD, email=bob.email).status_code == 200


def test_an_unknown_address_is_limited_alike(client: Client, db: None) -> None:
    for _ in range(5):
        assert log_in(client, "wrong", email="nobody@example.org").status_code == 401
    assert log_in(client, "wrong", email="nobody@example.org").status_code == 429


def test_success_clears_the_count(client: Client, alice: User) -> None:
    for _ in range(2):
        for _ in range(4):
            assert log_in(client, "wrong").status_code == 401
        assert log_in(client, PASSWORD).status_code == 200
    assert not LoginAttempt.objects.exists()


def test_each_failure_counts_for_its_own_fifteen_minutes(client: Client, alice: User) -> None:
    fail_five_times(client)
    attempts = LoginAttempt.objects.get()
    attempts.times[0] -= 15 * 60
    attempts.save()
    assert log_in(client, "wrong").status_code == 401
    assert log_in(client, PASSWORD).status_code == 429


def test_old_attempts_are_swept_away(client: Client, alice: User) -> None:
    log_in(client, "wrong")
    LoginAttempt.objects.update(last_at=timezone.now() - timedelta(minutes=16))
    log_in(client, "wrong", email="other@example.org")
    assert LoginAttempt.objects.count() == 1


def test_attempts_keep_neither_addresses_nor_what_was_typed(client: Client, alice: User, stolen_database) -> None:
    log_in(client, "hunter2-typed", email="password-typed-as-email", address="192.0.2.77")
    stolen = stolen_database()
    assert LoginAttempt.objects.exists()
    for private in ("password-typed-as-email", "192.0.2.77", "hunter2-typed"):
        assert private not in stolen


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_get_five_tries(alice: User, crowd) -> None:
    statuses = crowd(50, lambda _: log_in(Client(), "wrong").status_code)
    assert sorted(statuses) == [401] * 5 + [429] * 45


def test_behind_a_proxy_the_address_is_the_clients(client: Client, alice: User, settings) -> None:
    settings.TRUSTED_PROXIES = 1
    for _ in range(5):
        client.post(
            "/api/auth/login",
            {"email": alice.email, "password": "wrong"},
            content_type="application/json",
            headers={"x-forwarded-for": "1.2.3.4, 198.51.100.7"},
        )
    for address, status in (("5.6.7.8, 198.51.100.7", 429), ("198.51.100.8", 200)):
        response = client.post(
            "/api/auth/login",
            {"email": alice.email, "password": PASSWORD},
            content_type="application/json",
            headers={"x-forwarded-for": address},
        )
        assert response.status_code == status
