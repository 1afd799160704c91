"""pip, told as a person wants to hear it: what is going on while it works, one sentence when it fails.

Lock files are complete and hashed, so nothing is resolved: `--no-deps` takes what they name and no more. Nothing is
compiled either: a first start compiles the little that it uses, which costs it a second and saves most of a minute.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from refusals import Refusal

_LIFELINE = Path(__file__).with_name("lifeline.py")
_PIP = (
    *("pip", "install", "--no-deps", "--require-hashes", "--no-compile", "--no-input"),
    *("--disable-pip-version-check", "--retries", "2", "--progress-bar", "off"),
)
_SETTLED = re.compile(r"(?:Collecting|Requirement already satisfied:|Ignoring) ([\w.\[\]-]+)")
_STEPS = 6

_NO_NETWORK = (
    r"NewConnectionError|Max retries exceeded|ConnectTimeout|ReadTimeout|ProxyError|name resolution|unreachable"
)
# What pip prints, and what it means; the first that is found counts.
_CAUSES = {
    r"No space left on device|Disk quota exceeded": "The disk is full: free some space, then try again.",
    _NO_NETWORK: (
        "The packages could not be fetched: check this machine's connection to the internet, and the proxy that pip is"
        " set to use, then try again."
    ),
    r"DO NOT MATCH THE HASHES": (
        "A fetched package is not the one that was locked, so it was not installed: check which package index pip is"
        " set to use, then try again."
    ),
    r"No matching distribution found for (?P<name>[\w.-]+)": (
        "{name} has no build for this machine and this Python: try another of Python 3.11, 3.12 and 3.13. (The bundled"
        " model is left out when .env names a model server in TABBY_HOST.)"
    ),
    r"Permission denied|Read-only file system": "The folder .venv cannot be written: give yourself the right to.",
}


def install(python: Path, locks: Sequence[Path]) -> None:
    """Install what the lock files name into this Python's environment; raises Refusal."""
    started = time.monotonic()
    total = sum(len(re.findall(r"^[\w.\[\]-]+==", lock.read_text(encoding="utf-8"), re.MULTILINE)) for lock in locks)
    print(f"Installing {total} packages ({', '.join(lock.name for lock in locks)}) …")
    command: list[str | Path] = [
        python,
        "-I",
        _LIFELINE,
        *_PIP,
        *(part for lock in locks for part in ("-r", str(lock))),
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | {"PIP_USER": "0"},
    ) as pip:
        try:
            said = _follow(pip.stdout or (), total)
        except KeyboardInterrupt:
            pip.terminate()
            pip.wait()
            raise
    if pip.returncode != 0:
        raise _refusal(said)
    print(f"Installed in {time.monotonic() - started:.0f} s.")


def _follow(lines: Iterable[str], total: int) -> list[str]:
    """Show how far pip is; returns all it said."""
    said: list[str] = []
    settled = 0
    for line in lines:
        said.append(line)
        if name := _SETTLED.match(line):
            settled += 1
            _show(settled, total, name[1])
        elif line.startswith("Installing collected packages"):
            _clear()
            print("  unpacking …")
    _clear()
    return said


def _show(settled: int, total: int, name: str) -> None:
    """One line that changes on a terminal; a few lines in a log."""
    if sys.stdout.isatty():
        print(f"\r\033[K  {settled}/{total} {name}", end="", flush=True)
    elif settled % max(1, total // _STEPS) == 0:
        print(f"  {settled}/{total} {name}")


def _clear() -> None:
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)


def _refusal(said: list[str]) -> Refusal:
    output = "".join(said)
    for pattern, sentence in _CAUSES.items():
        if cause := re.search(pattern, output):
            return Refusal(sentence.format(**cause.groupdict()))
    errors = [line.strip() for line in said if line.startswith("ERROR")] or [line.strip() for line in said[-1:]]
    return Refusal(f"pip could not install the packages: {' '.join(errors)}")
