"""What the tests of accounts share: a crowd, and a look into the database as a thief would take it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from django.db import connection
from django.test import Client

from apps.accounts.models import ApiToken, User

T = TypeVar("T")


@pytest.fixture
def crowd() -> Callable[[int, Callable[[int], T]], list[T]]:
    """Runs a call that many times at the same moment, each on a thread and a connection of its own."""

    def run(size: int, call: Callable[[int], T]) -> list[T]:
        together = Barrier(size)

        def member(number: int) -> T:
            together.wait()
            try:
                return call(number)
            finally:
                connection.close()

        with ThreadPoolExecutor(size) as threads:
            return list(threads.map(member, range(size)))

    return run


@pytest.fixture
def stolen_database() -> Callable[[], str]:
    """Every value of every table."""

    def dump() -> str:
        with connection.cursor() as cursor:
            rows = []
            for table in connection.introspection.table_names(cursor):
                cursor.execute(f'SELECT * FROM "{table}"')
                rows.append(f"{table} {cursor.fetchall()!r}")
        return "\n".join(rows)

    return dump


@pytest.fixture
def strict_browser_of() -> Callable[[User], Client]:
    """A signed-in browser whose unsafe requests need their CSRF token, as outside of tests."""

    def signed_in(user: User) -> Client:
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def program_of() -> Callable[[User], Client]:
    """A program that sends one of the user's API tokens."""

    def with_token(user: User) -> Client:
        _, plaintext = ApiToken.objects.issue(user, "a program")
        return Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {plaintext}"})

    return with_token
