"""The thread that keeps house: what it runs again, and when."""

from __future__ import annotations

import time

import pytest

from apps.core.keeper import Job, Keeper

PATIENCE = 10.0

# A job that raises SystemExit is how these end the thread.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def kept(*turns: object) -> list[float]:
    """When a job was run that each time returns, or raises, the next of these; the last run ends the thread."""
    left, ran = list(turns), list[float]()

    def run() -> object:
        ran.append(time.monotonic())
        if not left:
            raise SystemExit
        turn = left.pop(0)
        if isinstance(turn, Exception):
            raise turn
        if turn is True:
            sum(range(1_000_000))  # a part takes a while
        return turn

    keeper = Keeper(Job(0.5, run))
    keeper.start()
    keeper.join(PATIENCE)
    assert not keeper.is_alive()
    return ran


def test_what_has_more_to_do_goes_on_after_a_rest_as_long_as_its_part() -> None:
    began = time.thread_time()
    sum(range(1_000_000))
    part = time.thread_time() - began
    first, second, third = kept(True, True)
    assert part < second - first < 0.5
    assert part < third - second < 0.5


def test_what_has_nothing_left_waits_for_its_next_turn() -> None:
    first, second = kept(None)
    assert second - first >= 0.5


def test_a_failure_ends_nothing() -> None:
    first, second, third = kept(ValueError("a fault"), False)
    assert second - first >= 0.5
    assert third - second >= 0.5
