"""A scripted model server for every test of this folder, and no connection left behind."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from pytest_django import Settings

from apps.llm.client import close_shared_client


@pytest.fixture(autouse=True)
async def _connections_end() -> AsyncIterator[None]:
    """Connections to the model server belong to the event loop, and each test has its own."""
    yield
    await close_shared_client()


@pytest.fixture
def nobody_listens() -> Iterator[str]:
    """An address where every connection is refused: the port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def nobody_accepts() -> Iterator[str]:
    """An address where connections are neither refused nor made: the queue of a server that never accepts is full."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def impatient(settings: Settings) -> Settings:
    """Settings with little patience, so that waiting in vain is quick; a test lengthens what it needs."""
    settings.LLM_CONNECT_TIMEOUT = settings.LLM_FIRST_BYTE_TIMEOUT = settings.LLM_SILENCE_TIMEOUT = 0.25
    return settings
