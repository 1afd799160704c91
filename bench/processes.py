"""The processes that a bench measures: a scripted model server, and the product on a data folder of its own.

Each lives as long as a `with` block and in a process group of its own, so that Ctrl-C reaches the bench alone and all
are ended in order. The product is configured by `.env.example`, whatever this shell or a `.env` say.
"""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0
_LOOK_AGAIN = 0.005


class BenchFailed(Exception):
    """Nothing can be measured; the message says why."""


@dataclass(frozen=True)
class WebProcess:
    """The product's web process, accepting connections."""

    process: psutil.Process
    origin: str

    def cpu_seconds(self) -> float:
        """User and system time spent so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def resident_megabytes(self) -> float:
        """What of it is in memory, in millions of bytes."""
        return float(self.process.memory_info().rss / 1e6)

    def resident_megabytes_beside(self) -> float:
        """The same of the processes that it has started."""
        return float(sum(each.memory_info().rss for each in self.process.children(recursive=True)) / 1e6)


@dataclass(frozen=True)
class Installation:
    """The product in a folder of its own; its web process may be started again and again, always on one port."""

    data: Path
    model_port: int
    port: int
    profile: Path | None = None
    secret_key: str = field(default_factory=secrets.token_urlsafe)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def web(self) -> Iterator[WebProcess]:
        """A fresh web process, which has not answered anything yet."""
        profiled = ["-m", "cProfile", "-o", str(self.profile)] if self.profile else []
        with self._serving([sys.executable, *profiled, "-m", "gantry.serve"], _accepts) as process:
            yield WebProcess(psutil.Process(process.pid), self.origin)

    def seconds_to_answer(self, command: Sequence[str]) -> float:
        """From starting this command, to which the port is added, to its first answered request; ends it again."""
        began = time.perf_counter()
        with self._serving(command, _answers):
            return time.perf_counter() - began

    def manage(self, *arguments: str) -> None:
        """Run a command of `manage.py`."""
        command = [sys.executable, "manage.py", *arguments]
        ended = subprocess.run(command, cwd=ROOT, env=_surroundings(self), capture_output=True, text=True, check=False)
        if ended.returncode:
            raise BenchFailed(f"{' '.join(arguments)} failed:\n{ended.stderr.strip()}")

    @contextmanager
    def _serving(self, command: Sequence[str], is_up: Callable[[int], bool]) -> Iterator[subprocess.Popen[bytes]]:
        log = self.data / "bench.log"
        with log.open("ab") as output:
            process = _start([*command, "--port", str(self.port)], output.fileno(), _surroundings(self))
        with _ended(process):
            _wait(process, lambda: is_up(self.port), log)
            yield process


@contextmanager
def model_server() -> Iterator[int]:
    """A scripted model server whose tokens carry the clock; yields its port."""
    process = _start([sys.executable, "-m", "tests.scripted_model", "--port", "0"], subprocess.PIPE, dict(os.environ))
    with _ended(process):
        assert process.stdout is not None
        with process.stdout as said:
            if not (port := said.readline().strip()):
                raise BenchFailed("The scripted model server does not start.")
            yield int(port)


def free_port() -> int:
    """A port of this machine that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _surroundings(installation: Installation) -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    examples = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    own = {
        "DATA_DIR": str(installation.data),
        "SECRET_KEY": installation.secret_key,
        "TABBY_HOST": f"http://127.0.0.1:{installation.model_port}",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DJANGO"))}
    return inherited | examples | own


def _start(command: Sequence[str], output: int, surroundings: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output == subprocess.PIPE else subprocess.STDOUT,
        process_group=0,
    )


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """It is gone when the block is left, by force if need be."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE / 2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], is_up: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()[-20:]
            raise BenchFailed("\n".join(["The product does not start. What it said last:", *said]))
        time.sleep(_LOOK_AGAIN)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
