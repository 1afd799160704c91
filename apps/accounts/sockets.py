"""Who is on a socket, and for how long.

A socket is accepted before it is refused, since a close before that reaches a browser as a bare 403: nobody signed in
is 4401, nothing there (or not theirs) is 4404. When the session, token or account ends, the socket closes with 4401
within a second; when only the account's rights changed, with 4410, upon which pages connect again.
"""

from __future__ import annotations

import asyncio

from apps.accounts.authentication import Credential, credential_from_headers
from apps.accounts.leases import Lease, open_lease
from apps.accounts.models import User
from apps.core.database import in_database
from apps.core.realtime import JsonConsumer
from apps.core.requests import header_map

NOBODY = 4401
NOT_FOUND = 4404
RIGHTS_CHANGED = 4410


class SignedInConsumer(JsonConsumer):
    """A socket of somebody who is signed in; subclasses prepare themselves in `opened` and say whether there is
    anything here for them."""

    user: User
    _lease: Lease | None = None

    async def connect(self) -> None:
        """Accept, find out who it is, and close again where that is nobody or there is nothing to see."""
        await self.accept()
        credential = await in_database(credential_from_headers, header_map(self.scope["headers"]))
        if credential is None:
            await self.close(NOBODY)
            return
        self._hold(credential)
        if not await self.opened():
            await self.close(NOT_FOUND)

    async def opened(self) -> bool:
        """Join groups, read state, send the first frame; False when there is nothing here for this person."""
        raise NotImplementedError

    async def disconnect(self, code: int) -> None:
        """Let go of the lease."""
        if self._lease is not None:
            self._lease.close()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Run a command, unless the socket is being refused."""
        if self._lease is not None:
            await super().receive(text_data, bytes_data)

    def _hold(self, credential: Credential) -> None:
        self.user = credential.user
        loop = asyncio.get_running_loop()

        def ended(why: str) -> None:
            code = RIGHTS_CHANGED if why == "changed" else NOBODY
            loop.call_soon_threadsafe(lambda: loop.create_task(self.close(code)))

        self._lease = open_lease(credential, ended)


class NowhereConsumer(JsonConsumer):
    """There is no such socket."""

    async def connect(self) -> None:
        """Say so in a way that a browser can read."""
        await self.accept()
        await self.close(NOT_FOUND)
