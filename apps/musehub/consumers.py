"""The socket of a repo: whoever may read it and is signed in hears what happens to its sessions.

Rights are asked again whenever the repo or its collaborators change; who may read no longer is closed with 4404.
"""

from __future__ import annotations

from apps.accounts.sockets import NOT_FOUND, SignedInConsumer
from apps.core.database import in_database
from apps.core.realtime import Event
from apps.musehub.events import repo_json, studio_group
from apps.musehub.models import Repo


class StudioConsumer(SignedInConsumer):
    """`/ws/studio/{repoId}/`."""

    commands = {"ping": "pong"}

    repo_id: str

    async def opened(self) -> bool:
        """Join first, read second: no event falls between the two."""
        self.repo_id = self.scope["url_route"]["kwargs"]["repo_id"]
        repo = await self._repo()
        if repo is None:
            return False
        await self.join(studio_group(repo.pk))
        return await self._send_snapshot()

    async def on_event(self, event: Event) -> None:
        """Pass on what happened, to whoever may still hear it."""
        kind = event["type"]
        if kind == "repo.deleted" or (kind in ("repo.updated", "access.changed") and await self._repo() is None):
            await self.close(NOT_FOUND)
        else:
            await self.send_event(event)

    async def pong(self, frame: Event) -> None:
        """`ping`."""
        await self.send_event({"type": "pong"})

    async def _send_snapshot(self) -> bool:
        """The repo, and the newest thing that happened in it: a page that has seen that has missed nothing."""
        repo = await self._repo()
        if repo is None:
            return False
        newest = await in_database(_newest_activity, repo)
        await self.send_event({"type": "studio.snapshot", "repo": repo_json(repo), "lastActivity": newest})
        return True

    async def _repo(self) -> Repo | None:
        return await in_database(Repo.objects.opened_by, self.user, self.repo_id)


def _newest_activity(repo: Repo) -> int | None:
    return repo.activity.newest_first().values_list("pk", flat=True).first()
