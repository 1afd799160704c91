"""The database from coroutines: calls run on threads whose connection stays open.

Sockets and turns ask often and little. `database_sync_to_async` would have all of them wait for one thread, and a
request's thread is lent to that request alone; threads of our own keep their connections, too. SQLite has one writer at
a time, so it gets one thread; PostgreSQL gets four.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from threading import Barrier
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection, connections

P = ParamSpec("P")
T = TypeVar("T")

_POSTGRESQL_THREADS = 4
_THREADS_APART = 2


async def in_database(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call(*args, **kwargs)` returns, run on a database thread, with the caller's context variables."""
    return await _run_on(_threads(), partial(call, *args, **kwargs))


async def beside_database(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same on threads apart, for what reads much or asks others too: it must not hold up what is short."""
    return await _run_on(_threads_apart(), partial(call, *args, **kwargs))


def close() -> None:
    """End the threads and their connections; the next call starts anew."""
    for threads in (_threads, _threads_apart):
        _close_connections(threads())
        threads().shutdown()
        threads.cache_clear()


def _close_connections(threads: ThreadPoolExecutor) -> None:
    """Have each thread close its own: as many calls as threads, none of which ends before all have begun."""
    size = threads._max_workers  # noqa: SLF001
    together = Barrier(size)

    def close_own() -> None:
        together.wait()
        connections.close_all()

    for _ in range(size):
        threads.submit(close_own)


@cache
def _threads() -> ThreadPoolExecutor:
    size = 1 if connection.vendor == "sqlite" else _POSTGRESQL_THREADS
    return ThreadPoolExecutor(size, thread_name_prefix="database")


@cache
def _threads_apart() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS_APART, thread_name_prefix="beside-database")


async def _run_on(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(threads, partial(context.run, _call, call))


def _call(work: Callable[[], T]) -> T:
    try:
        return work()
    except (OperationalError, InterfaceError):
        # A connection that the server dropped is not offered to the next caller.
        connection.close()
        raise
