"""The product as a process of its own: for kills, restarts, several processes and browsers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

ROOT = Path(__file__).resolve().parent.parent
EMAIL, PASSWORD = "alice@example.org", "correct horse battery"
START_SECONDS = 30


class Product:
    """One web process over a data folder. Use it as a context manager; it is ended with it."""

    def __init__(self, data_dir: Path, *, tabby_host: str, within: Sequence[str] = (), **environment: str) -> None:
        self.data_dir = data_dir
        # A command that runs the web process, such as one that gives it a file system of its own.
        self.within = within
        self.environment = {
            "PATH": os.environ["PATH"],
            "SECRET_KEY": "only-for-tests-" + "x" * 40,
            "DATA_DIR": str(data_dir),
            "TABBY_HOST": tabby_host,
            **environment,
        }
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self._clients: list[httpx.Client] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
        for client in self._clients:
            client.close()

    def start(self) -> Self:
        """Listen on a free port; returns once it answers."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [*self.within, sys.executable, "-m", "gantry.serve", "--port", str(port)]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, text=True)
        self._await_answer()
        return self

    def _await_answer(self) -> None:
        transport = httpx.HTTPTransport(retries=0)
        with httpx.Client(transport=transport) as http:
            for _ in range(START_SECONDS * 20):
                try:
                    http.get(f"{self.url}/health")
                except httpx.TransportError:
                    assert self.process is not None
                    try:
                        self.process.wait(0.05)  # nothing announces that a port is open
                    except subprocess.TimeoutExpired:
                        continue
                    raise AssertionError("the product ended as it started") from None
                else:
                    return
        raise AssertionError("the product does not answer")

    def kill(self) -> None:
        """As the system does when memory runs out: without a chance to tidy up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In good order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def manage(self, *arguments: str, **environment: str) -> str:
        """What `manage.py` prints, run beside the web process."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env={**self.environment, **environment}, text=True, capture_output=True, check=True
        )
        return done.stdout

    def add_account(self, email: str = EMAIL) -> None:
        """Make an account with the usual password."""
        self.manage(
            "createsuperuser",
            "--noinput",
            DJANGO_SUPERUSER_EMAIL=email,
            DJANGO_SUPERUSER_PASSWORD=PASSWORD,
            DJANGO_SUPERUSER_DISPLAY_NAME="Alice",
        )

    def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> httpx.Client:
        """A client that carries the session and its CSRF token."""
        client = httpx.Client(base_url=self.url, headers={"Origin": self.url}, timeout=20)
        self._clients.append(client)
        answer = client.post("/api/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
        return client

    def socket_headers(self, client: httpx.Client) -> dict[str, str]:
        """What a browser's handshake carries."""
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        return {"Cookie": cookies, "Origin": self.url}

    def socket_url(self, path: str) -> str:
        """The address of one of its sockets."""
        return re.sub("^http", "ws", self.url) + path


def free_port() -> int:
    """A port that nobody listens on right now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
