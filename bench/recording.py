"""`bench/sessions`: how quick recording sessions are where there are many, over HTTP against a started product.

One repo holds most of the sessions, beside many that hold none. One person asks, one request after another: a session
is started, read and stopped, the first page of the list and the repo's page are fetched, again and again. A figure is
the time that 95 of 100 of those requests did not exceed; medians stand under `raw`.
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

OWNER = "bench"  # the username of the account that `Person.set_up` makes
REPO = "A year of songs"


@dataclass(frozen=True)
class Scale:
    """How much there is, and how much of it is measured."""

    rounds: int
    sessions: int = 10_000
    repos: int = 200
    repeats: int = 200


FULL = Scale(rounds=3)
QUICK = Scale(rounds=1, sessions=200, repos=5, repeats=10)


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
            installation.manage("demo_studio", OWNER, "--name", REPO, "--sessions", str(scale.sessions))
            return [sample for each in loop.run(_rounds(person, scale)) for sample in each]


async def _rounds(person: Person, scale: Scale) -> list[list[Sample]]:
    async with person.browser() as browser:
        for number in range(scale.repos - 1):
            await _timed(browser, "POST", "/api/repos", {"name": f"Repo {number}", "visibility": "private"})
        found, _ = await _timed(browser, "GET", "/api/repos?limit=200", None)
        repo = next(each for each in found["repos"] if each["name"] == REPO)
        studio = Studio(browser, f"/api/repos/{repo['repoId']}/sessions", f"/studio/{OWNER}/{repo['slug']}")
        await studio.visit()  # the first request of a process does not count
        return [_samples([await studio.visit() for _ in range(scale.repeats)]) for _ in range(scale.rounds)]


@dataclass(frozen=True)
class Studio:
    """The repo with many sessions, to somebody signed in."""

    browser: httpx.AsyncClient
    sessions: str
    page: str

    async def visit(self) -> dict[str, float]:
        """Start a session, read it, stop it, look at the list and at the page; milliseconds of each."""
        told = {"participants": ["Ada", "Dele"], "intent": "Write the chorus", "location": "Studio A"}
        made, create = await _timed(self.browser, "POST", self.sessions, told)
        session = f"{self.sessions}/{made['sessionId']}"
        _, get = await _timed(self.browser, "GET", session, None)
        _, stop = await _timed(self.browser, "POST", f"{session}/stop", {})
        _, first_page = await _timed(self.browser, "GET", self.sessions, None)
        began = time.perf_counter()
        (await self.browser.get(self.page)).raise_for_status()
        page = (time.perf_counter() - began) * 1000
        return {
            "session_create": create,
            "session_get": get,
            "session_stop": stop,
            "sessions_first_page": first_page,
            "repo_page": page,
        }


async def _timed(browser: httpx.AsyncClient, method: str, path: str, body: object) -> tuple[dict[str, object], float]:
    """What a request of the API answered, and the milliseconds until it had."""
    began = time.perf_counter()
    answer = await browser.request(method, path, json=body)
    took = (time.perf_counter() - began) * 1000
    if answer.is_error:
        raise BenchFailed(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json(), took


def _samples(visits: Sequence[Mapping[str, float]]) -> list[Sample]:
    return [
        Sample(name, quantile(times, 0.95), {"median": statistics.median(times)})
        for name in visits[0]
        if (times := [visit[name] for visit in visits])
    ]


def _scale() -> Scale:
    parser = argparse.ArgumentParser(prog="bench/sessions", description="How quick recording sessions are.")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--rounds", type=int, help="how often everything is measured")
    asked = parser.parse_args()
    scale = QUICK if asked.quick else FULL
    return replace(scale, rounds=asked.rounds) if asked.rounds else scale


if __name__ == "__main__":
    sys.exit(main())
