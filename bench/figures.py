"""From samples to the report: medians over rounds, each beside what must hold (floor) and what we aim at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict


@dataclass(frozen=True)
class Standard:
    """What a figure is held against; smaller is better in all of them."""

    unit: str
    floor: float | None = None
    aim: float | None = None
    over_rounds: Callable[[Sequence[float]], float] = statistics.median


STANDARDS = {
    "start": Standard("s", floor=4, aim=2),
    "start_web": Standard("s", floor=4, aim=2),
    "first_token_cold": Standard("ms", floor=60),
    "first_token_one": Standard("ms", floor=25, aim=10),
    "first_token_fifty": Standard("ms", floor=400, aim=250),
    "first_token_fifty_p95": Standard("ms"),
    "token_delay_p50": Standard("ms"),
    "token_delay_p99": Standard("ms"),
    "cpu_per_1000_tokens": Standard("ms", floor=350, aim=200),
    "resident": Standard("MB", floor=300, aim=250),
    "tokens_lost": Standard("tokens", floor=0, over_rounds=max),
    "tokens_doubled": Standard("tokens", floor=0, over_rounds=max),
    "frames_out_of_order": Standard("frames", floor=0, over_rounds=max),
    "texts_unlike": Standard("chats", floor=0, over_rounds=max),
    "machine_busy": Standard("%"),
    "session_create": Standard("ms", floor=25, aim=12),
    "session_get": Standard("ms", floor=25, aim=12),
    "session_stop": Standard("ms", floor=25, aim=12),
    "sessions_first_page": Standard("ms", floor=25, aim=12),
    "repo_page": Standard("ms", floor=80, aim=40),
    "first_token_later": Standard("ms", floor=30, aim=15),
    "resident_5000": Standard("MB", floor=300, aim=250),
    "resident_100000": Standard("MB", floor=450),
    "search_rare": Standard("ms", floor=20, aim=10),
    "search_common": Standard("ms", floor=20, aim=10),
    "search_absent": Standard("ms", floor=20, aim=10),
    "conversations_first_page": Standard("ms", floor=20, aim=10),
}


@dataclass(frozen=True)
class Sample:
    """What one round found: `value`, and the measurements it was computed from."""

    name: str
    value: float
    raw: Mapping[str, float] = field(default_factory=dict)


def added(name: str, *, product: float, direct: float) -> Sample:
    """What the product adds to the model server's own time."""
    return Sample(name, product - direct, {"product": product, "direct": direct})


class Spread(TypedDict):
    """A number over the rounds."""

    value: float
    min: float
    max: float
    rounds: list[float]


class Figure(Spread):
    """A line of the report; `ok` and `meets_aim` are None where nothing is asked."""

    unit: str
    floor: float | None
    aim: float | None
    ok: bool | None
    meets_aim: bool | None
    raw: dict[str, Spread]


def figures(samples: Sequence[Sample]) -> dict[str, Figure]:
    """Every figure that was sampled, in the order of STANDARDS."""
    return {
        name: _figure(standard, found)
        for name, standard in STANDARDS.items()
        if (found := [sample for sample in samples if sample.name == name])
    }


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _figure(standard: Standard, samples: Sequence[Sample]) -> Figure:
    spread = _spread([sample.value for sample in samples], standard.over_rounds)
    return {
        "unit": standard.unit,
        "floor": standard.floor,
        "aim": standard.aim,
        "ok": None if standard.floor is None else spread["value"] <= standard.floor,
        "meets_aim": None if standard.aim is None else spread["value"] <= standard.aim,
        **spread,
        "raw": {key: _spread([sample.raw[key] for sample in samples], statistics.median) for key in samples[0].raw},
    }


def _spread(values: Sequence[float], over_rounds: Callable[[Sequence[float]], float]) -> Spread:
    rounds = [round(value, 3) for value in values]
    return {"value": round(over_rounds(values), 3), "min": min(rounds), "max": max(rounds), "rounds": rounds}
