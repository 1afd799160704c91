"""`bench/memory`: what memory costs, over a socket against a started product beside a scripted model server.

One person says very much, which is remembered and embedded while the product runs. Then they ask in new conversations,
in turn with memory and without: a figure is how much later the first token comes with it, as the difference of the two
medians. Beside it stands what the web process holds in memory with 5,000 vectors and with all; and, under `raw`, the
process that has Chroma for it, and both together.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.chats import Person
from bench.figures import Sample, figures
from bench.processes import BenchFailed, Installation, WebProcess, free_port, model_server
from bench.report import printed, report

ANSWER = "paced-50-5"  # only its first token matters
SUBJECTS = ("garden", "zymurgy", "quixotry", "cello", "river", "harvest", "engine", "letter", "winter", "market")
EMBEDDING_SECONDS = 900
# What is free is given back twice a minute.
AT_REST_SECONDS = 31


@dataclass(frozen=True)
class Scale:
    """How much is remembered, and how often it is asked for."""

    few: int = 5_000
    many: int = 100_000
    conversations: int = 10_000
    questions: int = 60


FULL = Scale()
QUICK = Scale(few=100, many=500, conversations=50, questions=3)


def main() -> int:
    """Measure and print; returns the exit status, which says nothing about the figures."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="bench/memory", description="What memory costs.")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    scale = QUICK if parser.parse_args().quick else FULL
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
    """Set up, remember, ask, tear down."""
    with (
        tempfile.TemporaryDirectory(prefix="gantry-bench-") as data,
        model_server() as port,
        asyncio.Runner() as loop,
    ):
        installation = Installation(Path(data), model_port=port, port=free_port())
        with installation.web() as web:
            person = loop.run(Person.set_up(web.origin))
            _tell(installation, f"fill({scale.conversations}, {scale.many}, {SUBJECTS[1]!r}, {SUBJECTS[0]!r})")
            few = _resident(installation, web, loop, person, 0, scale.few)
            many = _resident(installation, web, loop, person, scale.few, scale.many)
            later = loop.run(_first_tokens(person, scale.questions))
        return [few.sample("resident_5000"), many.sample("resident_100000"), later]


def _tell(installation: Installation, call: str) -> None:
    command = f"from bench.talk import fill, remember; {call}"
    installation.manage("shell", "--verbosity", "0", "--command", command)


@dataclass(frozen=True)
class Resident:
    """Megabytes of the web process, and of the one that has Chroma for it."""

    web: float
    chroma: float

    def sample(self, figure: str) -> Sample:
        """Of the web process; beside it what it would not be without."""
        return Sample(figure, self.web, {"chroma": self.chroma, "together": self.web + self.chroma})


def _resident(
    installation: Installation, web: WebProcess, loop: asyncio.Runner, person: Person, first: int, last: int
) -> Resident:
    """What both hold at rest, once these are remembered as well, embedded, and asked for."""
    _tell(installation, f"remember({first}, {last})")
    _await_vectors(installation.data / "gantry.db")
    loop.run(_first_tokens(person, 3))
    time.sleep(AT_REST_SECONDS)
    return Resident(web.resident_megabytes(), web.resident_megabytes_beside())


def _await_vectors(database: Path) -> None:
    ends = time.monotonic() + EMBEDDING_SECONDS
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as rows:
        while rows.execute("SELECT 1 FROM memory_recollection WHERE embedder = '' LIMIT 1").fetchone():
            if time.monotonic() > ends:
                raise BenchFailed("The vectors are not made in time.")
            time.sleep(0.5)  # nothing announces it


async def _first_tokens(person: Person, questions: int) -> Sample:
    """With memory and without in turn, each in a conversation of its own."""
    dice = random.Random(2)
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(questions):
        question = f"What did I say about the {' and the '.join(dice.sample(SUBJECTS, 3))}?"
        for memory in (True, False):
            times[memory].append(await _first_token_ms(person, question, memory=memory))
    with_memory, without = (statistics.median(times[memory]) for memory in (True, False))
    return Sample("first_token_later", with_memory - without, {"with": with_memory, "without": without})


async def _first_token_ms(person: Person, question: str, *, memory: bool) -> float:
    (conversation,) = await person.new_conversations(1, memory=memory)
    async with person.chat(conversation) as chat:
        answer = await chat.ask(ANSWER, question)
    return answer.reading.first_token_ms


if __name__ == "__main__":
    sys.exit(main())
