"""Queries that are put together once: the same rows as Django's own, whatever values come."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import BigIntegerField, CharField, DateTimeField, EmailField
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import ApiToken, User
from apps.core.prepared import Prepared, Slot

pytestmark = pytest.mark.django_db

TOKENS = Prepared(
    lambda: ApiToken.objects.select_related("user").filter(
        user__email=Slot("email", EmailField()), expires_at__gt=Slot("now", DateTimeField())
    )
)


def test_it_finds_what_django_finds_and_the_rows_joined_to_it(alice: User, bob: User) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    for owner in (alice, alice, bob):
        ApiToken.objects.issue(owner, "laptop", tomorrow)
    found = TOKENS.all(email=alice.email, now=timezone.now())
    assert found == list(ApiToken.objects.filter(user=alice))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert [token.user.display_name for token in found] == [alice.display_name] * 2
    assert not queries.captured_queries
    assert found[0].expires_at == tomorrow
    assert TOKENS.all(email=bob.email, now=timezone.now())[0].user == bob


def test_values_are_asked_for_anew_each_time(alice: User) -> None:
    ApiToken.objects.issue(alice, "laptop", timezone.now() + timedelta(days=1))
    for days, there in ((0, True), (2, False), (0, True)):
        one = TOKENS.one(email=alice.email, now=timezone.now() + timedelta(days=days))
        assert (one is not None) is there


def test_a_value_stays_a_value(alice: User) -> None:
    names = Prepared(lambda: User.objects.filter(display_name=Slot("name", CharField())))
    assert names.all(name="' OR 1=1 --") == []
    assert names.all(name="%s %(name)s %") == []
    assert names.all(name=alice.display_name) == [alice]


def test_a_number_that_no_column_holds_is_found_nowhere(alice: User) -> None:
    users = Prepared(lambda: User.objects.filter(pk=Slot("pk", BigIntegerField())))
    assert users.all(pk=alice.pk) == [alice]
    for number in (2**63, -(2**63) - 1, 10**30):
        assert users.all(pk=number) == []


def test_a_row_is_as_good_as_django_s(alice: User) -> None:
    users = Prepared(lambda: User.objects.filter(email=Slot("email", EmailField())))
    found = users.one(email=alice.email)
    assert found is not None
    assert found.is_active is True
    assert found.date_joined == alice.date_joined
    found.rename("Alice B.")
    alice.refresh_from_db()
    assert alice.display_name == "Alice B."
