"""`manage.py reembed`: make all vectors anew from the database, as after a change of the embedder."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.memory.models import Rebuild, Recollection
from apps.memory.outbox import Outbox

POLL_SECONDS = 0.2
# Whoever owns the vectors takes a request up within a second or two, unless something keeps it from it.
PATIENCE_SECONDS = 60
BAR_LENGTH = 40


class Command(BaseCommand):
    """Does the work, or, while the product runs, has it done there and shows how it goes."""

    help = "Makes the vectors of everything that is remembered anew, from the database."

    def handle(self, **options: Any) -> None:
        """Ends when every recollection has its vector; may be interrupted and repeated."""
        Rebuild.objects.create()
        outbox = Outbox()
        before, changed_at = -1, time.monotonic()
        while (left := _left()) > 0:
            self._show(left)
            if left != before:
                before, changed_at = left, time.monotonic()
            if outbox.work():
                continue
            if outbox.fault or time.monotonic() - changed_at > PATIENCE_SECONDS:
                raise CommandError(outbox.fault or "Nobody makes the vectors: the server's log says why.")
            time.sleep(POLL_SECONDS)
        self.stdout.write(f"All {Recollection.objects.count():,} recollections have their vector.")

    def _show(self, left: int) -> None:
        """A bar, where somebody looks on."""
        if not self.stdout.isatty():
            return
        total = max(Recollection.objects.count(), 1)
        done = max(total - left, 0)
        filled = BAR_LENGTH * done // total
        self.stdout.write(f"\r{'█' * filled}{'·' * (BAR_LENGTH - filled)} {done:,} of {total:,} ", ending="")
        self.stdout.flush()


def _left() -> int:
    """How many are yet to be embedded: all, while the request itself is still waiting."""
    recollections = Recollection.objects.all()
    if Rebuild.objects.exists():
        return recollections.count() + 1
    return recollections.waiting().count()
