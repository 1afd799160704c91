"""A checkout of one's own for each test, with a `.venv` that borrows the packages of the Python that runs the tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.txt", "requirements-model.txt", "requirements-dev.txt")
_PARTS = ("bin", "apps", "gantry", "templates", "static", "manage.py", ".env.example", *LOCKS)
# Nothing listens there, so no model server is started and none is found.
NO_MODEL = "http://127.0.0.1:9"


@dataclass
class Started:
    """A `bin/gantry start` that serves."""

    process: subprocess.Popen[str]
    address: str

    def children(self) -> list[psutil.Process]:
        """What it keeps running."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self) -> str:
        """Ctrl-C: the signal goes to the whole foreground group. Returns what was printed since."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.rest()

    def rest(self) -> str:
        """What it prints until it has ended."""
        return self.process.communicate(timeout=30)[0]


@dataclass
class Checkout:
    """A copy of the project in a folder of its own, and an environment with nothing of the developer's."""

    root: Path
    env: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def entrance(self) -> Path:
        return self.root / "bin" / "gantry"

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `bin/gantry` to its end; stdout and stderr together."""
        return run(str(self.entrance), *arguments, env=self.env | env)

    def popen(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Run `bin/gantry` in a process group of its own, as a shell does."""
        process = subprocess.Popen(
            [self.entrance, *arguments],
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def start(self, *arguments: str, **env: str) -> Started:
        """`bin/gantry start`, once it says where it is."""
        process = self.popen("start", "--port", "0", *arguments, **env)
        said = read_until(process, r"Ready after .* s: (http://\S+)")
        return Started(process, said[1])

    def use_pip(self, script: str) -> None:
        """Let this script be pip."""
        package = Path(sysconfig.get_path("purelib", vars={"base": str(self.root / ".venv")})) / "pip"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(f"import sys\nif '--version' not in sys.argv:\n    {script}\n")


def run(*command: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The command run to its end, stdout and stderr together."""
    return subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The first line that has this, waited for; a process that says nothing is ended after a minute."""
    assert process.stdout is not None
    lines = []
    impatience = threading.Timer(60, process.kill)
    impatience.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if found := re.search(pattern, line):
                return found
    finally:
        impatience.cancel()
    pytest.fail(f"ended before it said {pattern!r}: {''.join(lines)}")


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    root = tmp_path / "my checkout, 100% #1"
    root.mkdir()
    for part in _PARTS:
        source, target = ROOT / part, root / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    _make_venv(root / ".venv")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    made = Checkout(root, {"PATH": path, "HOME": str(tmp_path), "TABBY_HOST": NO_MODEL, "LOG_LEVEL": "WARNING"})
    yield made
    for process in made.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _make_venv(folder: Path) -> None:
    venv.create(folder, symlinks=True)
    borrowed = Path(sysconfig.get_path("purelib", vars={"base": str(folder)})) / "borrowed.pth"
    borrowed.write_text(sysconfig.get_path("purelib"))
    stamps = folder / "installed"
    stamps.mkdir()
    for lock in LOCKS:
        shutil.copy2(ROOT / lock, stamps / lock)
