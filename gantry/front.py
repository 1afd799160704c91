"""Bounds on what daphne itself keeps and lets through, before the application is asked and after it has answered.

On uvloop a connection that its client resets while data waits to be read is never heard of again: uvloop stops watching
it, and Twisted goes on waiting for a word from it. Whoever is dead by the system's word is buried here.

daphne has no settings for these, so its classes are replaced: a body is spooled whole before the application could
refuse it, two headers that only a trusted proxy should send are obeyed (and stumbled over) whoever sends them, and
what a client does not read is kept without end.
"""

from __future__ import annotations

import logging
import socket
from typing import Any

from daphne import http_protocol
from daphne.server import Server
from django.conf import settings
from twisted.internet import reactor
from twisted.internet.error import ConnectionLost
from twisted.internet.task import LoopingCall
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure

log = logging.getLogger(__name__)

# More than any frame of ours. Whoever lets that much lie is cut off, and finds the state again when it is back.
MAX_UNREAD_BYTES = 64 << 20
BURIAL_SECONDS = 2.0
_DEAD = 7  # tcp_states.h: TCP_CLOSE


class BoundedRequest(http_protocol.WebRequest):  # type: ignore[misc]  # daphne has no types
    """Keeps no more of a body than shows that it is too large; takes no paths from strangers."""

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 -- twisted's name
        """Keep up to one byte over the limit, which is enough for `BodyLimit` to refuse it."""
        room = settings.MAX_BODY_BYTES + 1 - self.content.tell()
        if room > 0:
            super().handleContentChunk(data[:room])

    def process(self) -> Any:
        """Go on without the headers that daphne obeys and that nobody here needs."""
        self.requestHeaders.removeHeader(b"daphne-root-path")
        self.requestHeaders.removeHeader(b"sec-websocket-protocol")
        return super().process()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 -- twisted's name
        """Let go of what came of a body; twisted leaves it to the collector, which has no reason to hurry."""
        super().connectionLost(reason)
        if self.content is not None:
            self.content.close()


async def _handle_reply(
    server: Server, protocol: Any, message: dict[str, Any], _original: Any = Server.handle_reply
) -> None:
    await _original(server, protocol, message)
    transport = protocol.transport
    unread = len(getattr(transport, "dataBuffer", b"")) + getattr(transport, "_tempDataLen", 0)
    if unread > MAX_UNREAD_BYTES:
        transport.abortConnection()


def bury_the_dead() -> None:
    """End the connections of which nobody told Twisted that they are over."""
    waiting: Any = reactor  # a zope interface, which types misread
    for each in {*waiting.getReaders(), *waiting.getWriters()}:
        if isinstance(each, Connection) and _is_dead(each.socket):
            each.connectionLost(Failure(ConnectionLost()))  # type: ignore[no-untyped-call]


def _is_dead(connection: socket.socket) -> bool:
    if connection.fileno() < 0 or connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _DEAD


def guard() -> None:
    """Have daphne use these."""
    http_protocol.WebRequest = BoundedRequest
    Server.handle_reply = _handle_reply
    burials: Any = LoopingCall(bury_the_dead).start(BURIAL_SECONDS, now=False)
    burials.addErrback(lambda failure: log.error("nobody buries dead connections any more: %s", failure))
