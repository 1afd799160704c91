"""`bin/gantry validate`: every check, the long ones beside one another, one line each; what failed is shown whole.

The tests have the machine; the other checks take turns beside them at a low priority. The developer's own `.env` and
data are left alone: each setting has the value that `.env.example` gives it, and the data lies in a temporary folder.

pytest's own closing line is the last that is printed.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import environment
from environment import ROOT

_BIN = ROOT / ".venv" / "bin"
_BROWSERS = ("chromium", "google-chrome")
_PYTEST = "tests"
_CHECKS = {
    "format": ("ruff", "format", "--check", "."),
    "lint": ("ruff", "check", "."),
    "templates, format": ("djlint", "--check", "--quiet", "templates"),
    "templates, lint": ("djlint", "--lint", "--quiet", "templates"),
    "imports": ("lint-imports", "--no-cache"),
    "settings": ("python", "manage.py", "check"),
    "migrations": ("python", "manage.py", "makemigrations", "--check", "--dry-run"),
    "types": ("mypy",),
    "types of the launcher": ("mypy", "--config-file", "bin/_gantry/mypy.ini"),
}


@dataclass(frozen=True)
class Result:
    """How a check ended."""

    name: str
    passed: bool
    seconds: float
    output: str


def run(arguments: list[str]) -> int:
    """Run every check; returns 0 when all passed."""
    argparse.ArgumentParser(prog="bin/gantry validate", description="Run every check.").parse_args(arguments)
    began = time.monotonic()
    environment.prepare(environment.RUN, environment.MODEL, environment.DEVELOP)
    with tempfile.TemporaryDirectory(prefix="gantry-validate-") as data:
        results = _run_all(_surroundings(Path(data)))
    return _report(results, time.monotonic() - began)


def _surroundings(data: Path) -> dict[str, str]:
    """The environment of the checks; it wins over `.env`, so every name of `.env.example` is set."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    examples = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    own = {"DATA_DIR": str(data), "SECRET_KEY": secrets.token_urlsafe(50)}
    path = f"{_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return os.environ | examples | own | {"PATH": path, "NO_COLOR": "1"}


def _run_all(surroundings: dict[str, str]) -> list[Result]:
    """Two at a time: the tests, and one of the others."""
    tests, others = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    with tests, others:
        running: list[Future[Result]] = [tests.submit(_run, _PYTEST, _pytest(), surroundings, niceness=0)]
        running += [others.submit(_run, name, call, surroundings, niceness=10) for name, call in _CHECKS.items()]
        print(f"Running the tests, and {len(_CHECKS)} other checks beside them …")
        try:
            return [_told(finished.result()) for finished in as_completed(running)]
        except KeyboardInterrupt:
            others.shutdown(wait=False, cancel_futures=True)
            raise


def _told(result: Result) -> Result:
    print(f"{'ok  ' if result.passed else 'FAIL'}  {result.name:<24}{result.seconds:6.1f} s")
    return result


def _pytest() -> tuple[str, ...]:
    if any(map(shutil.which, _BROWSERS)):
        return ("pytest", "-n", "2")
    print("The browser tests are left out: no Chromium on PATH. On Debian: sudo apt-get install chromium")
    return ("pytest", "-n", "2", "-m", "not e2e")


def _run(name: str, call: Sequence[str], surroundings: dict[str, str], *, niceness: int) -> Result:
    began = time.monotonic()
    program = str(_BIN / call[0])
    ended = subprocess.run(
        ["nice", "-n", str(niceness), program, *call[1:]],
        cwd=ROOT,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return Result(name, ended.returncode == 0, time.monotonic() - began, ended.stdout)


def _report(results: list[Result], seconds: float) -> int:
    failed = [result for result in results if not result.passed]
    for result in failed:
        print(f"\n===== {result.name} =====\n{result.output.rstrip()}")
    outcome = f"failed: {', '.join(result.name for result in failed)}" if failed else "all passed"
    print(f"\nvalidate: {len(results)} checks in {seconds:.0f} s, {outcome}")
    tests = next(result for result in results if result.name == _PYTEST)
    print(tests.output.rstrip().rpartition("\n")[2])
    return 1 if failed else 0
