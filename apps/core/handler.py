"""Django's ASGI handler, with one thread for a request from its first middleware to its last, and threads that stay.

Django's own makes a thread, and so a database connection, for each request, and changes between that thread and the
event loop for every middleware that can be asynchronous once one of them cannot, and twice more to say that a request
begins and ends. Our views are synchronous, so here all of it is one call, on a thread that somebody else's request has
used before: its connection is still open.

What a request leaves to a thread is its connections alone; everything else of Django's is kept in context variables.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import IO, Any, ParamSpec, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.db import connections
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

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

    def __init__(self) -> None:
        super().__init__()
        self._respond_on_thread = sync_to_async(self._respond)

    def load_middleware(self, is_async: bool = False) -> None:
        """The chain, synchronous throughout; a view that is a coroutine still runs on the event loop."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer on one of our threads."""
        async with threads.one():
            await self.handle(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """From the request's body to the end of its response, or until nobody is there to read it."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        response: HttpResponseBase | None = None
        watch = asyncio.create_task(self._cancel_when_left(receive, asyncio.current_task()))
        try:
            response = await self._respond_on_thread(scope, body)
            await self.send_response(response, send)
        except asyncio.CancelledError:
            if not watch.done():  # it is the server that wants this to end
                raise
        finally:
            watch.cancel()
            if response is not None and response.streaming:
                await sync_to_async(response.close)()

    async def _cancel_when_left(self, receive: Any, answering: asyncio.Task[None] | None) -> None:
        with suppress(RequestAborted):
            await self.listen_for_disconnect(receive)
        assert answering is not None
        answering.cancel()

    def _respond(self, scope: Any, body: IO[bytes]) -> Any:
        """All of Django's part in one go. What is not streamed is whole by now, and closed."""
        set_script_prefix(get_script_prefix(scope))
        request_started.send(sender=type(self), scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = self.get_response(request) if request is not None else refusal
        response._handler_class = type(self)  # noqa: SLF001 -- what is told when the response is closed
        body.close()
        if not response.streaming:
            response.close()
        return response
