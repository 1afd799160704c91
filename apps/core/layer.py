"""The channel layer of a single process: Channels' own, whose cost does not grow with the number of open sockets.

Channels' copies every event for every receiver, starts a task for each, and looks at every channel whenever anything is
sent or received. Events here are never changed once published, and what nobody fetched is bounded by the capacity.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from channels.layers import InMemoryChannelLayer

_CLEAN_SECONDS = 10.0


class LocalChannelLayer(InMemoryChannelLayer):
    """Delivers at once; drops for a receiver whose channel is full, as Channels' does."""

    _clean_at = 0.0

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Put the message, itself and not a copy, into each channel of the group."""
        self._clean_expired()
        expires_at = time.time() + self.expiry
        for channel in self.groups.get(group, ()):
            queue = self.channels.setdefault(channel, asyncio.Queue(maxsize=self.get_capacity(channel)))
            if not queue.full():
                queue.put_nowait((expires_at, message))

    def _clean_expired(self) -> None:
        if (now := time.monotonic()) >= self._clean_at:
            self._clean_at = now + _CLEAN_SECONDS
            super()._clean_expired()  # type: ignore[misc]  # the stubs leave it out
