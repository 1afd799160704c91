"""The threads that requests run on: kept from request to request, never shared by two at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path
from pytest_django import Settings

from apps.core import handler
from gantry.routing import application

pytestmark = pytest.mark.django_db(transaction=True)

T = TypeVar("T")
meeting = threading.Barrier(2)


def place(request: HttpRequest) -> JsonResponse:
    connection.ensure_connection()
    return JsonResponse({"thread": threading.get_ident(), "connection": id(connection.connection)})


def meet(request: HttpRequest) -> JsonResponse:
    meeting.wait(10)
    return place(request)


async def coroutine(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"thread": threading.get_ident()})


urlpatterns = [path(view.__name__, view) for view in (place, meet, coroutine)]


@pytest.fixture(autouse=True)
def fresh_threads(settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    handler.threads.close()
    yield
    handler.threads.close()


@pytest.fixture
async def program() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_one_request_after_another_has_the_same_thread_and_its_open_connection(
    program: httpx.AsyncClient,
) -> None:
    first = (await program.get("/place")).json()
    assert first["thread"] != threading.get_ident()
    assert [(await program.get("/place")).json() for _ in range(5)] == [first] * 5


async def test_two_requests_at_once_have_a_thread_each(program: httpx.AsyncClient) -> None:
    one, other = await asyncio.gather(program.get("/meet"), program.get("/meet"))
    assert one.json()["thread"] != other.json()["thread"]
    assert one.json()["connection"] != other.json()["connection"]


async def test_what_is_given_up_keeps_its_thread_until_it_is_done() -> None:
    threads = handler.RequestThreads()
    begun, may_end = threading.Event(), threading.Event()

    def linger() -> None:
        begun.set()
        may_end.wait(10)

    given_up = asyncio.create_task(_on_a_thread(threads, linger))
    await asyncio.to_thread(begun.wait, 10)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    elsewhere = await asyncio.wait_for(_on_a_thread(threads, threading.get_ident), 10)
    assert elsewhere != threading.get_ident()
    may_end.set()
    threads.close()


async def _on_a_thread(threads: handler.RequestThreads, call: Callable[[], T]) -> T:
    async with threads.one():
        return await sync_to_async(call)()


async def test_threads_beyond_those_that_are_kept_end(program: httpx.AsyncClient, monkeypatch) -> None:
    monkeypatch.setattr(handler, "KEPT", 1)
    meeting_threads = [answer.json()["thread"] for answer in await asyncio.gather(*map(program.get, ["/meet"] * 2))]
    running = [thread for thread in threading.enumerate() if thread.ident in meeting_threads]
    kept = (await program.get("/place")).json()["thread"]
    for thread in running:
        if thread.ident != kept:
            await asyncio.to_thread(thread.join, 10)
    assert [thread.ident for thread in running if thread.is_alive()] == [kept]


async def test_a_view_that_is_a_coroutine_runs_on_the_event_loop(program: httpx.AsyncClient) -> None:
    assert (await program.get("/coroutine")).json() == {"thread": threading.get_ident()}
