"""The thread that keeps house in a serving process: what must happen also when nobody asks.

Jobs are short, synchronous and safe to repeat. One that fails is logged and tried again at its next turn; a database
that is away for a while must not end the housekeeping.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import Error as DatabaseError
from django.db import connection

log = logging.getLogger(__name__)


@dataclass
class Job:
    """Something to run every so many seconds."""

    every: float
    run: Callable[[], object]
    due: float = field(default=0.0)


class Keeper(threading.Thread):
    """Runs its jobs until the process ends."""

    def __init__(self, *jobs: Job) -> None:
        super().__init__(name="keeper", daemon=True)
        self._jobs = jobs

    def run(self) -> None:
        """Sleep until the next job is due, run it, repeat."""
        while True:
            job = min(self._jobs, key=lambda each: each.due)
            time.sleep(max(0.0, job.due - time.monotonic()))
            _run(job)
            job.due = time.monotonic() + job.every


def _run(job: Job) -> None:
    try:
        job.run()
    except DatabaseError:
        log.exception("job=%s failed; it is tried again in %g s", job.run.__qualname__, job.every)
        connection.close()
