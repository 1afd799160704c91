"""The thread that keeps house in a serving process: what must happen also when nobody asks.

Jobs are synchronous and safe to repeat. One that fails, be it that the database is away or that it has a fault, is
logged and tried again at its next turn; it must not end the housekeeping. What may take long gets a keeper of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

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

    def __init__(self, *jobs: Job, name: str = "keeper") -> None:
        super().__init__(name=name, daemon=True)
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
    except Exception:  # a thread's end is nobody's to catch
        log.exception("job=%s failed; it is tried again in %g s", job.run.__qualname__, job.every)
        connection.close()
