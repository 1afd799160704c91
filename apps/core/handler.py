"""Django's ASGI handler, with one thread for a request from its first middleware to its last, and threads that stay.

Django's own makes a thread, and so a database connection, for each request, and changes between that thread and the
event loop for every middleware that can be asynchronous once one of them cannot. Our views are synchronous, so here the
whole chain is one call, on a thread that somebody else's request has used before: its connection is still open.

What a request leaves to a thread is its connections alone; everything else of Django's is kept in context variables.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

P = ParamSpec("P")
T = TypeVar("T")

# Idle threads beyond these end, and their connections with them.
KEPT = 8


class RequestThread(ThreadPoolExecutor):
    """One thread, which knows whether it is at work."""

    def __init__(self) -> None:
        super().__init__(1, thread_name_prefix="request")
        self._latest: Future[Any] | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have it run when all that was submitted before is done."""
        self._latest = future = super().submit(fn, *args, **kwargs)
        return future

    def when_idle(self, call: Callable[[RequestThread], None]) -> None:
        """Call now, or behind what a request that was given up has left under way."""
        if self._latest is None or (self._latest.done() and not self._latest.cancelled()):
            call(self)
        else:
            self.submit(call, self)

    def end(self) -> None:
        """Close its connections and let it end; returns at once."""
        self.submit(connections.close_all)
        self.shutdown(wait=False)


class RequestThreads:
    """Threads that requests borrow, each for itself alone. There are as many as requests at once, so none waits."""

    def __init__(self) -> None:
        self._idle: list[RequestThread] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Whatever is synchronous in the block runs on one thread, the one that was used last if it is idle."""
        try:
            thread = self._idle.pop()
        except IndexError:
            thread = RequestThread()
        try:
            async with ThreadSensitiveContext(executor=thread):
                yield
        finally:
            thread.when_idle(self._keep)

    def close(self) -> None:
        """End those that are idle, and wait until they have."""
        while self._idle:
            thread = self._idle.pop()
            thread.end()
            thread.shutdown()

    def _keep(self, thread: RequestThread) -> None:
        if len(self._idle) < KEPT:
            self._idle.append(thread)
        else:
            thread.end()


threads = RequestThreads()


class Handler(ASGIHandler):
    """What an ASGI server calls for http."""

    def load_middleware(self, is_async: bool = False) -> None:
        """The chain, synchronous throughout; a view that is a coroutine still runs on the event loop."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer on one of our threads."""
        async with threads.one():
            await self.handle(scope, receive, send)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """The response of the whole chain."""
        return await sync_to_async(self.get_response)(request)
