"""The database from coroutines."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest
from django.db import OperationalError, connection

from apps.core.database import in_database

pytestmark = pytest.mark.django_db(transaction=True)

colour: ContextVar[str] = ContextVar("colour", default="none")


async def test_what_is_called_returns() -> None:
    assert await in_database(divmod, 7, 2) == (3, 1)
    assert await in_database(sorted, [1, 2], reverse=True) == [2, 1]


async def test_what_is_raised_is_raised_to_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_database(divmod, 1, 0)


async def test_it_runs_on_a_thread_of_its_own_with_the_callers_context() -> None:
    colour.set("blue")
    assert await in_database(colour.get) == "blue"
    assert await in_database(threading.get_ident) != threading.get_ident()


async def test_what_it_sets_stays_with_it() -> None:
    await in_database(colour.set, "red")
    assert colour.get() == "none"


def _connection() -> int:
    connection.ensure_connection()
    return id(connection.connection)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL has several threads")
async def test_the_connection_stays_open_from_call_to_call() -> None:
    first = await in_database(_connection)
    assert {await in_database(_connection) for _ in range(5)} == {first}
    assert set(await asyncio.gather(*(in_database(_connection) for _ in range(5)))) == {first}


def _fail() -> None:
    connection.ensure_connection()
    raise OperationalError("server closed the connection unexpectedly")


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL has several threads")
async def test_a_connection_that_failed_is_not_offered_to_the_next_caller() -> None:
    with pytest.raises(OperationalError):
        await in_database(_fail)
    assert await in_database(lambda: connection.connection) is None
    assert await in_database(_connection)
