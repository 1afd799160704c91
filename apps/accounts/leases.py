"""What is open on a credential, a socket or a stream, ends within a second of the credential's end.

Whoever holds something open takes a lease; `sweep()`, called once a second in every process, asks the database about
all leases together, so it also hears what another process or `manage.py` did. A lease speaks once, from the sweeping
thread: its holder hops to its own loop with `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from django.db.models import QuerySet

from apps.accounts.authentication import Credential
from apps.accounts.models import ApiToken, Session, User

# ended: nobody is signed in by this credential any more. changed: they are, but perhaps with other rights; ask again.
Ending = Literal["ended", "changed"]

log = logging.getLogger(__name__)
_open: set[Lease] = set()
_lock = threading.Lock()
_BATCH = 5_000  # below what SQLite and PostgreSQL take as parameters of one query


@dataclass(frozen=True, eq=False)
class Lease:
    """One thing held open for a user; see `open_lease`."""

    user_id: int
    revision: int
    session_id: int | None
    token_id: int | None
    on_end: Callable[[Ending], None]

    def close(self) -> None:
        """What was held open was closed by its holder. Safe to repeat."""
        with _lock:
            _open.discard(self)

    def end(self, ending: Ending) -> None:
        """Tell the holder, unless it closed the lease meanwhile."""
        with _lock:
            if self not in _open:
                return
            _open.discard(self)
        try:
            self.on_end(ending)
        except RuntimeError:
            log.debug("user=%d a lease's loop was closed before its socket", self.user_id)


def open_lease(credential: Credential, on_end: Callable[[Ending], None]) -> Lease:
    """Hold something open for as long as the credential stands as it was read; `on_end` is called at most once."""
    user = credential.user
    lease = Lease(user.pk, user.revision, credential.session_id, credential.token_id, on_end)
    with _lock:
        _open.add(lease)
    return lease


def sweep() -> None:
    """End the leases whose credential ended or changed: three queries whatever their number, none without leases."""
    with _lock:
        leases = list(_open)
    if not leases:
        return
    standing = _Standing.of(leases)
    for lease in leases:
        if ending := standing.ending_of(lease):
            lease.end(ending)


@dataclass(frozen=True)
class _Standing:
    """What the database says about users, sessions and tokens right now."""

    revisions: dict[int, int]
    sessions: frozenset[int]
    tokens: frozenset[int]

    @classmethod
    def of(cls, leases: Collection[Lease]) -> _Standing:
        """Ask about all of these."""
        return cls(
            revisions=_revisions({lease.user_id for lease in leases}),
            sessions=_standing(Session.objects.live(), {lease.session_id for lease in leases}),
            tokens=_standing(ApiToken.objects.live(), {lease.token_id for lease in leases}),
        )

    def ending_of(self, lease: Lease) -> Ending | None:
        """Why this lease ends, if it does."""
        revision = self.revisions.get(lease.user_id)
        if revision is None or not self._has_credential(lease):
            return "ended"
        return "changed" if revision != lease.revision else None

    def _has_credential(self, lease: Lease) -> bool:
        if lease.session_id is not None:
            return lease.session_id in self.sessions
        return lease.token_id in self.tokens if lease.token_id is not None else True


def _revisions(users: Collection[int]) -> dict[int, int]:
    active = User.objects.filter(is_active=True)
    return {
        pk: revision
        for batch in _batches(users)
        for pk, revision in active.filter(pk__in=batch).values_list("pk", "revision")
    }


def _standing(live: QuerySet[Session] | QuerySet[ApiToken], wanted: Collection[int | None]) -> frozenset[int]:
    known = [pk for pk in wanted if pk is not None]
    return frozenset(
        pk for batch in _batches(known) for pk in live.filter(pk__in=batch).order_by().values_list("pk", flat=True)
    )


def _batches(ids: Collection[int]) -> Iterator[list[int]]:
    rest = iter(ids)
    while batch := list(islice(rest, _BATCH)):
        yield batch


@contextmanager
def held(credential: Credential) -> Iterator[asyncio.Event]:
    """A lease for a stream on the running loop: the event is set when the credential ends or changes."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def end(_: Ending) -> None:
        loop.call_soon_threadsafe(ended.set)

    lease = open_lease(credential, end)
    try:
        yield ended
    finally:
        lease.close()
