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
    """Something to run every so many seconds. It does a part of what there is, and returns True when there is more."""

    every: float
    run: Callable[[], object]
    due: float = field(default=0.0)


class Keeper(threading.Thread):
    """Runs its jobs until the process ends.

    A job that has more to do goes on after a rest as long as its part kept this thread busy: whoever is waited for
    comes first, at the processor as at the database's write lock.
    """

    def __init__(self, *jobs: Job, name: str = "keeper") -> None:
        super().__init__(name=name, daemon=True)
        self._jobs = jobs

    def run(self) -> None:
        """Sleep until the next job is due, run it, repeat."""
        while True:
            job = min(self._jobs, key=lambda each: each.due)
            time.sleep(max(0.0, job.due - time.monotonic()))
            began = time.thread_time()
            has_more = _run(job)
            worked = time.thread_time() - began
            job.due = time.monotonic() + (min(worked, job.every) if has_more else job.every)


def _run(job: Job) -> bool:
    try:
        return job.run() is True
    except Exception:  # a thread's end is nobody's to catch
        log.exception("job=%s failed; it is tried again in %g s", job.run.__qualname__, job.every)
        connection.close()
        return False
