"""The bench in small: it measures, says what it measured, and every token arrives once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from bench.chats import Faults, ProductAnswer, Reading
from bench.figures import STANDARDS, Sample, figures
from bench.processes import ROOT


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """What `bench/stream --quick --only fifty` prints."""
    command = [sys.executable, "-m", "bench.streaming", "--quick", "--only", "fifty"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_no_token_is_lost_or_doubled(report: dict[str, Any]) -> None:
    for name in ("tokens_lost", "tokens_doubled", "frames_out_of_order", "texts_unlike"):
        assert report["figures"][name]["value"] == 0, name


def test_each_figure_stands_beside_its_floor_and_aim(report: dict[str, Any]) -> None:
    figure = report["figures"]["first_token_fifty"]
    assert (figure["unit"], figure["floor"], figure["aim"]) == ("ms", 400, 250)
    assert figure["ok"] is (figure["value"] <= 400)
    assert 0 < figure["raw"]["direct"]["value"] < figure["raw"]["product"]["value"]
    assert report["figures"]["cpu_per_1000_tokens"]["value"] > 0
    assert report["figures"]["resident"]["value"] > 10


def test_it_says_on_what_it_was_measured(report: dict[str, Any]) -> None:
    assert report["measured"]["chats"] == 5
    assert report["machine"]["cpus"] >= 1


def answer(*texts: tuple[int, str], told: str) -> ProductAnswer:
    """A turn with these deltas, `(seq, text)`, and this last message."""
    deltas = [{"type": "generation.delta", "seq": seq, "text": text} for seq, text in texts]
    end = {"type": "message.completed", "message": {"content": told}}
    return ProductAnswer(0.0, [(1.0, json.dumps(frame)) for frame in [*deltas, end]])


def test_a_token_that_is_missing_or_comes_twice_is_counted() -> None:
    whole = answer((1, "@1.1; "), (2, "@2.2; "), told="@1.1; @2.2; ")
    assert whole.faults(tokens=2, stored="@1.1; @2.2; ") == Faults(0, 0, 0, 0)

    gap = answer((1, "@1.1; "), (3, "@3.3; "), told="@1.1; @2.2; @3.3; ")
    assert gap.faults(tokens=3, stored="@1.1; @2.2; @3.3; ") == Faults(1, 0, 1, 1)

    twice = answer((1, "@1.1; "), (1, "@1.1; "), told="@1.1; ")
    assert twice.faults(tokens=1, stored="@1.1; ") == Faults(0, 1, 1, 1)

    forgotten = answer((1, "@1.1; "), told="@1.1; ")
    assert forgotten.faults(tokens=1, stored="") == Faults(0, 0, 0, 1)


def test_recording_sessions_are_measured_beside_floors_and_aims() -> None:
    command = [sys.executable, "-m", "bench.recording", "--quick"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    standards = {name: (figure["floor"], figure["aim"]) for name, figure in found["figures"].items()}
    small = dict.fromkeys(("session_create", "session_get", "session_stop", "sessions_first_page"), (25, 12))
    assert standards == {**small, "repo_page": (80, 40)}
    assert all(0 < each["raw"]["median"]["value"] <= each["value"] for each in found["figures"].values())


def test_tokens_are_found_wherever_the_text_was_cut() -> None:
    reading = Reading.of(1.0, [(2.0, "@1500.0; @17"), (3.0, "00.0; ")])
    assert reading.tokens == [(1.5, 2.0), (1.7, 3.0)]
    assert reading.first_token_ms == 1000


def test_a_figure_is_the_median_of_its_rounds_and_a_fault_the_worst_of_them() -> None:
    rounds = [("first_token_one", 30.0), ("first_token_one", 5.0), ("first_token_one", 6.0)]
    found = figures([Sample(*each) for each in [*rounds, ("tokens_lost", 0), ("tokens_lost", 1), ("tokens_lost", 0)]])
    assert found["first_token_one"]["value"] == 6.0
    assert found["first_token_one"]["ok"] is True
    assert found["tokens_lost"]["value"] == 1
    assert found["tokens_lost"]["ok"] is False
    assert set(found) < set(STANDARDS)


def test_memory_is_measured_with_and_without() -> None:
    command = [sys.executable, "-m", "bench.remembering", "--quick"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    later = json.loads(ended.stdout)["figures"]["first_token_later"]
    raw = later["raw"]
    assert later["value"] == pytest.approx(raw["with"]["value"] - raw["without"]["value"], abs=0.01)
