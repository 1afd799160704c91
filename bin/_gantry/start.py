"""`bin/gantry start`: check what can be checked before anything runs, then hand over to the supervisor."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import configuration
import environment
from refusals import Refusal

_MODEL_NEEDS = ("libgomp.so.1", "libstdc++.so.6")
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def run(arguments: list[str]) -> int:
    """Serve until told to end; returns the exit status."""
    began = time.monotonic()
    asked = _parse(arguments)
    port = _free_port(asked.host, asked.port)
    environment.prepare(environment.RUN)
    environment.configure()
    settings = configuration.load()
    commands = {"web": ["gantry.serve", "--host", asked.host, "--port", str(port)]}
    print(f"Nebulus Gantry {settings.VERSION}, its data in {settings.DATA_DIR}")
    if settings.TABBY_HOST:
        print(f"Model server: {settings.TABBY_HOST}")
    else:
        commands["model"] = _bundled_model()
    with _only_one(settings.DATA_DIR):
        import supervise

        address = (_ANYWHERE.get(asked.host, asked.host), port)
        return supervise.run(commands, settings.DATA_DIR, address, began)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/gantry start", description="Serve Nebulus Gantry until Ctrl-C.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=_port,
        default=os.environ.get("GANTRY_PORT", "8000"),
        help="the port to listen on; 0 takes a free one (default: GANTRY_PORT, or else 8000)",
    )
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 65535):
        reason = f"{text} is no port: choose one from 1 to 65535, or 0 for any that is free"
        raise argparse.ArgumentTypeError(reason)
    return int(text)


def _free_port(host: str, port: int) -> int:
    """This port, or any for 0, after seeing that it can be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as fault:
        raise Refusal(_why_not_listen(fault, host, port)) from fault


def _why_not_listen(fault: OSError, host: str, port: int) -> str:
    if fault.errno == errno.EADDRINUSE:
        other = f"bin/gantry start --port {port + 1 if port < 65535 else 8000}"
        return f"Port {port} of {host} is in use: end the program that uses it, or choose another: {other}"
    if fault.errno == errno.EACCES:
        return f"Port {port} is reserved for the administrator: choose one above 1023, such as --port 8000."
    return f"Nothing can listen on {host} ({fault.strerror}): --host takes an address of this machine."


def _bundled_model() -> list[str]:
    """The command of the bundled model server, and the place in the environment where the web process finds it."""
    environment.prepare(environment.MODEL)
    for library in _MODEL_NEEDS if sys.platform == "linux" else ():
        try:
            ctypes.CDLL(library)
        except OSError as fault:
            reason = f"The bundled model server needs {library}: sudo apt-get install libgomp1 libstdc++6"
            raise Refusal(reason) from fault
    port = _free_port("127.0.0.1", 0)
    os.environ["TABBY_HOST"] = f"http://127.0.0.1:{port}"
    print(
        "Model: the bundled SmolLM2-135M-Instruct, a very small one: real, quick, no sage.\n"
        f"To use a model server of your own, name it in {environment.ROOT / '.env'}: TABBY_HOST=http://…"
    )
    return ["apps.llm.local", "--port", str(port)]


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Two web processes over one SQLite file and one memory store would harm each other: the data has one server."""
    folder = data / "run"
    folder.mkdir(mode=0o700, exist_ok=True)
    (data / "logs").mkdir(mode=0o700, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as fault:
        reason = f"Nebulus Gantry already runs on {data}: end that one first, or give this one a DATA_DIR of its own."
        raise Refusal(reason) from fault
    finally:
        os.close(held)
