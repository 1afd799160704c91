"""Bounds on what daphne itself keeps and lets through, before the application is asked and after it has answered.

daphne has no settings for these, so its classes are replaced: a body is spooled whole before the application could
refuse it, two headers that only a trusted proxy should send are obeyed (and stumbled over) whoever sends them, and
what a client does not read is kept without end.
"""

from __future__ import annotations

from typing import Any

from daphne import http_protocol
from daphne.server import Server
from django.conf import settings

# More than any frame of ours. Whoever lets that much lie is cut off, and finds the state again when it is back.
MAX_UNREAD_BYTES = 64 << 20


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


async def _handle_reply(
    server: Server, protocol: Any, message: dict[str, Any], _original: Any = Server.handle_reply
) -> None:
    await _original(server, protocol, message)
    transport = protocol.transport
    unread = len(getattr(transport, "dataBuffer", b"")) + getattr(transport, "_tempDataLen", 0)
    if unread > MAX_UNREAD_BYTES:
        transport.abortConnection()


def guard() -> None:
    """Have daphne use these."""
    http_protocol.WebRequest = BoundedRequest
    Server.handle_reply = _handle_reply
