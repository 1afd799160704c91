"""`bench/search`: how quick searching is where much was said, over HTTP against a started product.

One person has all of it, asks for a rare word, a common one and one that nobody said, and for the first page of their
conversations, one request after another. A figure is the time that 95 of 100 of those requests did not exceed; medians
stand under `raw`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx

from bench.chats import Person
from bench.figures import Sample, figures, quantile
from bench.processes import BenchFailed, Installation, free_port
from bench.report import printed, report

# What `bench.talk` has people say, and how often.
RARE, COMMON, ABSENT = "zymurgy", "garden", "quixotry"
SEARCH = "/api/chat/search?limit=20&q="
PATHS = {
    "search_rare": SEARCH + RARE,
    "search_common": SEARCH + COMMON,
    "search_absent": SEARCH + ABSENT,
    "conversations_first_page": "/api/chat/conversations",
}


@dataclass(frozen=True)
class Scale:
    """How much there is, and how much of it is measured."""

    rounds: int
    conversations: int = 10_000
    messages: int = 100_000
    repeats: int = 200


FULL = Scale(rounds=3)
QUICK = Scale(rounds=1, conversations=100, messages=1_000, repeats=10)


def main() -> int:
    """Measure and print; returns the exit status, which says nothing about the figures."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scale = _scale()
    before = os.getloadavg()
    try:
        samples = measure(scale)
    except BenchFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Ended before it was done; nothing is left running.", file=sys.stderr)
        return 128 + signal.SIGINT
    print(printed(report(figures(samples), asdict(scale), before)))
    return 0


def measure(scale: Scale) -> list[Sample]:
    """Set up, run every round, tear down. No model server is needed: nothing asks it."""
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as data, asyncio.Runner() as loop:
        installation = Installation(Path(data), model_port=free_port(), port=free_port())
        with installation.web() as web:
            person = loop.run(Person.set_up(web.origin))
            talk = f"from bench.talk import fill; fill({scale.conversations}, {scale.messages}, {RARE!r}, {COMMON!r})"
            installation.manage("shell", "--verbosity", "0", "--command", talk)
            return [sample for each in loop.run(_rounds(person, scale)) for sample in each]


async def _rounds(person: Person, scale: Scale) -> list[list[Sample]]:
    async with person.browser() as browser:
        await _visit(browser)  # the first request of a process does not count
        return [_samples([await _visit(browser) for _ in range(scale.repeats)]) for _ in range(scale.rounds)]


async def _visit(browser: httpx.AsyncClient) -> dict[str, float]:
    """The milliseconds that each request took."""
    return {name: await _timed(browser, path) for name, path in PATHS.items()}


async def _timed(browser: httpx.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    answer = await browser.get(path)
    took = (time.perf_counter() - began) * 1000
    if answer.is_error:
        raise BenchFailed(f"GET {path}: {answer.status_code} {answer.text}")
    return took


def _samples(visits: Sequence[Mapping[str, float]]) -> list[Sample]:
    return [
        Sample(name, quantile(times, 0.95), {"median": statistics.median(times)})
        for name in PATHS
        if (times := [visit[name] for visit in visits])
    ]


def _scale() -> Scale:
    parser = argparse.ArgumentParser(prog="bench/search", description="How quick searching is where much was said.")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--rounds", type=int, help="how often everything is measured")
    asked = parser.parse_args()
    scale = QUICK if asked.quick else FULL
    return replace(scale, rounds=asked.rounds) if asked.rounds else scale


if __name__ == "__main__":
    sys.exit(main())
