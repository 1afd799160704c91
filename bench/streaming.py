"""`bench/stream`: what the product adds to a model server's answers, in time, CPU and memory, and whether it loses any.

A round asks a fresh web process once (cold), then one chat after another, then fifty at once, and the model server
directly beside each, so that both meet the same machine. The report holds medians over rounds; a machine that has other
things to do shows in `machine` and in the spread.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import uvloop

from bench.chats import DirectChat, Person, ProductAnswer, Reading
from bench.figures import Sample, added, figures, quantile
from bench.processes import ROOT, BenchFailed, Installation, WebProcess, free_port, model_server
from bench.report import Report, printed, report

PARTS = ("start", "cold", "one", "fifty")
SHORT = "paced-50-5"  # the answer where only its first token matters


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rounds: int
    chats: int = 50
    tokens: int = 200
    tokens_per_second: int = 50
    repeats: int = 20


FULL = Scale(rounds=5)
QUICK = Scale(rounds=1, chats=5, tokens=20, repeats=3)


@dataclass(frozen=True)
class Options:
    """What is measured, and how."""

    scale: Scale
    parts: Sequence[str]
    launcher: bool
    as_html: bool
    profile: Path | None


def main() -> int:
    """Measure and print; returns the exit status, which says nothing about the figures."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _options()
    before = os.getloadavg()
    try:
        samples = measure(options)
    except BenchFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Ended before it was done; nothing is left running.", file=sys.stderr)
        return 128 + signal.SIGINT
    print(printed(_report(options, samples, before)))
    return 0


def measure(options: Options) -> list[Sample]:
    """Set up, run every round, tear down."""
    with (
        tempfile.TemporaryDirectory(prefix="gantry-bench-") as data,
        model_server() as model_port,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop,
    ):
        installation = Installation(Path(data), model_port, free_port(), options.profile)
        with installation.web() as web:
            person = loop.run(Person.set_up(web.origin))
            untouched = loop.run(person.new_conversations(options.scale.rounds))
        return [
            sample
            for conversation in untouched
            for sample in _round(installation, Bench(options, person, model_port), conversation, loop)
        ]


def _round(installation: Installation, bench: Bench, conversation: int, loop: asyncio.Runner) -> Iterator[Sample]:
    parts = bench.options.parts
    if "start" in parts:
        yield Sample("start_web", installation.seconds_to_answer([sys.executable, "-m", "gantry.serve"]))
    if bench.options.launcher:
        yield Sample("start", installation.seconds_to_answer([str(ROOT / "bin" / "gantry"), "start"]))
    if {"cold", "one", "fifty"}.isdisjoint(parts):
        return
    with installation.web() as web:
        if "cold" in parts:
            yield loop.run(bench.cold(conversation))
        if "one" in parts:
            yield loop.run(bench.one_after_another())
        if "fifty" in parts:
            yield from loop.run(bench.all_at_once(web))


@dataclass(frozen=True)
class Bench:
    """The measurements that need a web process."""

    options: Options
    person: Person
    model_port: int

    async def cold(self, conversation: int) -> Sample:
        """The first chat of a web process that has not answered anything yet."""
        async with self.person.chat(conversation, as_html=self.options.as_html) as chat:
            answer = await chat.ask(SHORT)
        direct = DirectChat(self.model_port)
        reading = await direct.ask(SHORT)
        direct.close()
        return added("first_token_cold", product=answer.reading.first_token_ms, direct=reading.first_token_ms)

    async def one_after_another(self) -> Sample:
        """The median of chats that are alone, after a first one that does not count."""
        readings: list[tuple[Reading, Reading]] = []
        direct = DirectChat(self.model_port)
        for conversation in await self.person.new_conversations(1 + self.options.scale.repeats):
            async with self.person.chat(conversation, as_html=self.options.as_html) as chat:
                answer = await chat.ask(SHORT)
            readings.append((answer.reading, await direct.ask(SHORT)))
        direct.close()
        product, by_itself = zip(*readings[1:], strict=True)
        return added("first_token_one", product=_first_token(product), direct=_first_token(by_itself))

    async def all_at_once(self, web: WebProcess) -> list[Sample]:
        """Many chats that begin in the same moment and stream side by side."""
        conversations = await self.person.new_conversations(self.options.scale.chats)
        cpu, busy, answers = await self._through_product(web, conversations)
        stored = await self.person.stored_answers(conversations)
        direct_busy, direct = await self._directly()
        product = [answer.reading for answer in answers]
        return [
            *_compared(product, direct),
            *self._faults(answers, stored),
            Sample("cpu_per_1000_tokens", cpu * 1e6 / (len(answers) * self.options.scale.tokens)),
            Sample("resident", web.resident_megabytes()),
            Sample("machine_busy", busy, {"direct": direct_busy}),
        ]

    async def _through_product(
        self, web: WebProcess, conversations: Sequence[int]
    ) -> tuple[float, float, list[ProductAnswer]]:
        """The web process's CPU seconds, how busy the machine was in percent, and the answers."""
        async with AsyncExitStack() as sockets:
            chats = [
                await sockets.enter_async_context(self.person.chat(each, as_html=self.options.as_html))
                for each in conversations
            ]
            psutil.cpu_percent()
            before = web.cpu_seconds()
            answers = await asyncio.gather(*(chat.ask(self._long) for chat in chats))
            return web.cpu_seconds() - before, psutil.cpu_percent(), answers

    async def _directly(self) -> tuple[float, list[Reading]]:
        """How busy the machine was in percent, and the answers."""
        chats = [DirectChat(self.model_port) for _ in range(self.options.scale.chats)]
        for chat in chats:
            await chat.connect()
        psutil.cpu_percent()
        readings = await asyncio.gather(*(chat.ask(self._long) for chat in chats))
        busy = psutil.cpu_percent()
        for chat in chats:
            chat.close()
        return busy, readings

    @property
    def _long(self) -> str:
        return f"paced-{self.options.scale.tokens_per_second}-{self.options.scale.tokens}"

    def _faults(self, answers: Sequence[ProductAnswer], stored: Sequence[str]) -> Iterator[Sample]:
        tokens = self.options.scale.tokens
        found = [asdict(each.faults(tokens=tokens, stored=text)) for each, text in zip(answers, stored, strict=True)]
        for name in found[0]:
            yield Sample(name, sum(faults[name] for faults in found))


def _compared(product: Sequence[Reading], direct: Sequence[Reading]) -> Iterator[Sample]:
    """First tokens and the delay of every token, through the product and without it."""
    yield added("first_token_fifty", product=_first_token(product), direct=_first_token(direct))
    yield added("first_token_fifty_p95", product=_first_token(product, 0.95), direct=_first_token(direct, 0.95))
    yield added("token_delay_p50", product=_delay(product, 0.5), direct=_delay(direct, 0.5))
    yield added("token_delay_p99", product=_delay(product, 0.99), direct=_delay(direct, 0.99))


def _first_token(readings: Sequence[Reading], share: float = 0.5) -> float:
    times = [reading.first_token_ms for reading in readings]
    return statistics.median(times) if share == 0.5 else quantile(times, share)


def _delay(readings: Sequence[Reading], share: float) -> float:
    return quantile([delay for reading in readings for delay in reading.delays_ms], share)


def _report(options: Options, samples: Sequence[Sample], load_before: tuple[float, float, float]) -> Report:
    scale = asdict(options.scale) | {"as_html": options.as_html, "profiled": options.profile is not None}
    return report(figures(samples), scale, load_before)


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="bench/stream", description="What the product adds to a model's answers.")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be given again")
    parser.add_argument("--rounds", type=int, help="how often everything is measured")
    parser.add_argument("--launcher", action="store_true", help="measure bin/gantry start, too; .venv must be there")
    parser.add_argument("--html", action="store_true", help="open sockets with ?render=html, as our pages do")
    parser.add_argument("--profile", type=Path, help="write cProfile's data of the last web process to this file")
    asked = parser.parse_args()
    if asked.launcher and not (ROOT / ".venv" / "bin" / "python").exists():
        parser.error("--launcher: nothing is installed in .venv; run bin/gantry start once")
    scale = QUICK if asked.quick else FULL
    return Options(
        scale=replace(scale, rounds=asked.rounds) if asked.rounds else scale,
        parts=asked.only or PARTS,
        launcher=asked.launcher,
        as_html=asked.html,
        profile=asked.profile and asked.profile.resolve(),
    )


if __name__ == "__main__":
    sys.exit(main())
