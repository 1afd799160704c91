"""Waiting for what nothing announces: what a keeper, another process or the system has done."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.scripted_model import PATIENCE

_LOOK_AGAIN = 0.02


def until(is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Return once it is so; fail after so many seconds."""
    ends = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < ends, "it does not come about"
        time.sleep(_LOOK_AGAIN)
