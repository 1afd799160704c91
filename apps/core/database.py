"""The database from coroutines: calls run on threads whose connection stays open.

Sockets and turns ask often and little. `database_sync_to_async` would open a connection for each call, and asgiref's
request threads end with their request; a thread of our own keeps one. SQLite has one writer at a time, so it gets one
thread; PostgreSQL gets four.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection

P = ParamSpec("P")
T = TypeVar("T")

_POSTGRESQL_THREADS = 4


async def in_database(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call(*args, **kwargs)` returns, run on a database thread, with the caller's context variables."""
    context = contextvars.copy_context()
    work = partial(context.run, _call, partial(call, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_threads(), work)


def close() -> None:
    """End the threads and their connections; the next call starts anew."""
    _threads().shutdown()
    _threads.cache_clear()


@cache
def _threads() -> ThreadPoolExecutor:
    size = 1 if connection.vendor == "sqlite" else _POSTGRESQL_THREADS
    return ThreadPoolExecutor(size, thread_name_prefix="database")


def _call(work: Callable[[], T]) -> T:
    try:
        return work()
    except (OperationalError, InterfaceError):
        # A connection that the server dropped is not offered to the next caller.
        connection.close()
        raise
