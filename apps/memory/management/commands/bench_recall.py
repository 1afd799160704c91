"""`manage.py bench_recall PATH…`: how much of what answers a question memory finds, on LoCoMo's conversations.

Each file (one conversation, in the layout of that data set) becomes the history of a person of its own, remembered turn
by turn through memory's own face; then every question whose evidence is there is asked of it. The accounts are removed
afterwards. The data set's licence (CC BY-NC 4.0) is why its files are no part of this project.

It does the work of the outbox itself, so the product must not be running over the same data folder: give it one of its
own by DATA_DIR.
"""

from __future__ import annotations

import json
import re
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any, TypedDict

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.models import User
from apps.memory.models import Recollection
from apps.memory.outbox import Outbox
from apps.memory.recall import recall, remember

CUTOFFS = (1, 3, 5, 10, 25)
SESSION_DATE = "%I:%M %p on %d %B, %Y"
TURN_ID = re.compile(r"D\d+:\d+")


class Turn(TypedDict):
    """What a file says of a turn, as far as it is used."""

    speaker: str
    dia_id: str
    text: str


@dataclass(frozen=True)
class Answer:
    """What was recalled for a question, as ids of turns, of which some answer it; and how long it took."""

    recalled: Sequence[str]
    evidence: frozenset[str]
    milliseconds: float

    def recall_at(self, k: int) -> float:
        """The share of the evidence among the first `k`."""
        return len(self.evidence.intersection(self.recalled[:k])) / len(self.evidence)


class Command(BaseCommand):
    """Remembers, asks, counts."""

    help = "Measures what memory recalls on conversations of the LoCoMo data set."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The conversations."""
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a conversation, or a folder of them")

    def handle(self, *, paths: Sequence[Path], **options: Any) -> None:
        """A line for each file, and for all of them as JSON at the end."""
        answers: list[Answer] = []
        for path in _files(paths):
            of_file = _asked_of(path)
            answers += of_file
            self.stdout.write(f"{path.name}: {_report(of_file)}")
        if not answers:
            raise CommandError("There is no question with evidence in these files.")
        self.stdout.write(_report(answers))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob("*.json")) if path.is_dir() else [path]


def _asked_of(path: Path) -> list[Answer]:
    """What the person whose history is in the file is answered."""
    told = json.loads(path.read_text())
    name = f"bench-recall-{time.time_ns()}"
    person = User.objects.create_user(email=f"{name}@example.org", password=name, display_name=name)
    try:
        turns = _remember(person, told.get("conversation", told))
        _await_vectors(person)
        return [
            _answer(person, entry["question"], evidence, turns)
            for entry in told["qa"]
            if (evidence := frozenset(TURN_ID.findall(" ".join(entry.get("evidence", [])))) & set(turns.values()))
        ]
    finally:
        person.delete()
        _work()


def _remember(person: User, conversation: dict[str, Any]) -> dict[str, str]:
    """The turn of each source."""
    turns: dict[str, str] = {}
    for session, at, said in _sessions(conversation):
        for offset, turn in enumerate(said):
            source = f"turn:{len(turns)}"
            turns[source] = turn["dia_id"]
            remember(
                person.pk,
                text=f"{turn['speaker']}: {turn['text']}",
                source=source,
                thread=f"session:{person.pk}-{session}",
                said_at=at + timedelta(seconds=offset),
            )
    return turns


def _sessions(conversation: dict[str, Any]) -> Iterator[tuple[int, datetime, list[Turn]]]:
    for number in range(1, len(conversation)):
        if said := conversation.get(f"session_{number}"):
            at = conversation[f"session_{number}_date_time"]
            yield number, datetime.strptime(at, SESSION_DATE).replace(tzinfo=UTC), said


def _await_vectors(person: User) -> None:
    outbox = _work()
    if Recollection.objects.filter(owner=person).waiting().exists():
        raise CommandError(outbox.fault or "The product is running over this data folder; give DATA_DIR another.")


def _work() -> Outbox:
    outbox = Outbox()
    while outbox.work():
        pass
    return outbox


def _answer(person: User, question: str, evidence: frozenset[str], turns: dict[str, str]) -> Answer:
    begun = time.perf_counter()
    recalled = recall(person.pk, question, limit=max(CUTOFFS))
    milliseconds = (time.perf_counter() - begun) * 1000
    return Answer([turns[memory.source] for memory in recalled.memories], evidence, milliseconds)


def _report(answers: Sequence[Answer]) -> str:
    times = quantiles([answer.milliseconds for answer in answers], n=20)
    shares = {str(k): round(fmean(answer.recall_at(k) for answer in answers), 3) for k in CUTOFFS}
    report = {
        "questions": len(answers),
        "recall": shares,
        "p50_ms": round(times[9], 1),
        "p95_ms": round(times[18], 1),
    }
    return json.dumps(report)
