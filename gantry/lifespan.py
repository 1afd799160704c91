"""What starts and ends with a serving process, under daphne (which has no lifespan protocol) and under others."""

from __future__ import annotations

import asyncio
import gc
import sys

from apps.accounts import leases
from apps.conversations import engine
from apps.core import fulltext, vectors, write_ahead
from apps.core.keeper import Job, Keeper
from apps.core.requests import Receive, Scope, Send
from apps.llm import client
from apps.memory import extraction, finding, outbox
from gantry import allocator

SWEEP_SECONDS = 0.5
ORPHANS_SECONDS = 2.0
LEFT_BEHIND_SECONDS = 60.0
OUTBOX_SECONDS = 2.0
PURGE_SECONDS = 2.0
LOG_SECONDS = 10.0
TRIM_SECONDS = 30.0


def start() -> None:
    """Begin the housekeeping that happens also when nobody asks; called once, when the server imports us."""
    client.warm_up()
    finding.warm_up()
    # What was imported stays: the collector need not look at it again and again while answers are written.
    gc.collect()
    gc.freeze()
    # A page makes tens of thousands of objects and next to no cycles.
    gc.set_threshold(50_000, 20, 100)
    Keeper(
        Job(SWEEP_SECONDS, leases.sweep),
        Job(ORPHANS_SECONDS, engine.recover_orphans),
        Job(LEFT_BEHIND_SECONDS, engine.delete_left_behind),
        Job(LOG_SECONDS, write_ahead.forget),
    ).start()
    Keeper(
        Job(OUTBOX_SECONDS, outbox.work),
        Job(PURGE_SECONDS, fulltext.purge),
        Job(TRIM_SECONDS, allocator.trim),
        name="vectors",
    ).start()
    Keeper(Job(OUTBOX_SECONDS, extraction.work), name="entities").start()
    _end_with_daphne()


def _end_with_daphne() -> None:
    """Tidy up before daphne's reactor stops."""
    if "daphne.server" not in sys.modules:
        return
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    def ending() -> Deferred[None]:
        return Deferred.fromFuture(asyncio.ensure_future(_end()))

    reactor.addSystemEventTrigger("before", "shutdown", ending)  # type: ignore[arg-type]  # a zope interface, misread


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI lifespan protocol, for servers that speak it."""
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await _end()
    await send({"type": "lifespan.shutdown.complete"})


async def _end() -> None:
    """Store the replies being written; close the vectors, which otherwise have to be looked over at the next start."""
    await engine.shutdown()
    await asyncio.to_thread(vectors.end)
