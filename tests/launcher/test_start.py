"""`bin/gantry start` serves, keeps serving, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import stat
import subprocess

import httpx
import psutil
import pytest

from .conftest import Checkout, read_until, run


def _gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=20)[1]


def test_it_answers_where_it_says_and_ctrl_c_ends_everything(checkout: Checkout) -> None:
    started = checkout.start()
    assert httpx.get(f"{started.address}/health").status_code == 200
    assert "server" not in httpx.get(f"{started.address}/health").headers
    children = started.children()
    assert children
    said = started.interrupt()
    assert started.process.returncode == 0
    assert said.splitlines()[-2:] == ["Ending …", "Everything has ended."]
    assert _gone(children)


def test_it_is_not_ready_while_it_fails(checkout: Checkout) -> None:
    """It asks again once the file that it finds is there."""
    cured = checkout.root / "cured"
    health = checkout.root / "gantry" / "health.py"
    health.write_text(
        "from pathlib import Path\n"
        "from django.http import HttpResponse\n"
        f"health = lambda request: HttpResponse(status=200 if Path({str(cured)!r}).exists() else 500)\n"
    )
    process = checkout.popen("start", "--port", "0")
    said = read_until(process, r"Ready|/health answers 500")
    assert "Ready" not in said[0]
    cured.touch()
    assert read_until(process, "Ready after")


@pytest.mark.parametrize("fatal", [signal.SIGTERM, signal.SIGKILL])
def test_it_leaves_no_child_when_it_is_told_to_end_or_killed(checkout: Checkout, fatal: signal.Signals) -> None:
    started = checkout.start()
    children = started.children()
    started.process.send_signal(fatal)
    started.process.wait(timeout=20)
    assert _gone(children)


def test_it_ends_with_its_terminal(checkout: Checkout) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", checkout.entrance, "start", "--port", "0"],
        env=checkout.env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while b"Ready after" not in said:
        said += os.read(ours, 4096)
    children = psutil.Process(process.pid).children(recursive=True)
    os.close(ours)
    process.wait(timeout=20)
    assert children
    assert _gone(children)


def test_a_web_process_that_dies_is_started_again_at_the_same_address(checkout: Checkout) -> None:
    started = checkout.start()
    [web] = started.children()
    web.kill()
    read_until(started.process, r"The web process ended \(signal 9\); starting it again")
    transport = httpx.HTTPTransport(retries=8)
    with httpx.Client(transport=transport, timeout=20) as client:
        assert client.get(f"{started.address}/health").status_code == 200
    started.interrupt()


def test_what_it_writes_is_for_its_owners_eyes(checkout: Checkout) -> None:
    started = checkout.start()
    started.interrupt()
    data = checkout.root / "data"
    assert (data / "gantry.db").exists()
    for path in [data, *data.rglob("*")]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_a_second_one_over_the_same_data_is_refused(checkout: Checkout) -> None:
    started = checkout.start()
    second = checkout.run("start", "--port", "0")
    assert second.returncode == 1
    assert "already runs on" in second.stdout.splitlines()[-1]
    assert httpx.get(f"{started.address}/health").status_code == 200
    started.interrupt()


def test_a_port_in_use_is_said_with_another_to_try(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        by_option = checkout.run("start", "--port", str(port))
        by_variable = checkout.run("start", GANTRY_PORT=str(port))
    assert by_option.returncode == by_variable.returncode == 1
    assert by_option.stdout == by_variable.stdout
    assert re.fullmatch(
        rf"gantry: Port {port} of 127\.0\.0\.1 is in use: .*bin/gantry start --port \d+\n", by_option.stdout
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--host", "192.0.2.1"), "--host takes an address of this machine"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_one_sentence(
    checkout: Checkout, options: tuple[str, ...], sentence: str
) -> None:
    ended = checkout.run("start", *options)
    assert ended.returncode == 1
    assert sentence in ended.stdout
    assert ended.stdout.count("\n") == 1


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_what_is_no_port_is_refused(checkout: Checkout, port: str) -> None:
    ended = checkout.run("start", f"--port={port}")
    assert ended.returncode == 2
    assert ended.stdout.splitlines()[-1].endswith(
        f"argument --port: {port} is no port: choose one from 1 to 65535, or 0 for any that is free"
    )


def test_a_missing_system_library_is_said_with_its_package(checkout: Checkout) -> None:
    broken = checkout.root / "lib"
    broken.mkdir()
    (broken / "libgomp.so.1").touch()
    ended = checkout.run("start", "--port", "0", TABBY_HOST="", LD_LIBRARY_PATH=str(broken))
    assert ended.returncode == 1
    assert "needs libgomp.so.1: sudo apt-get install libgomp1" in ended.stdout.splitlines()[-1]


def test_a_database_that_does_not_answer_is_said_once(checkout: Checkout) -> None:
    ended = checkout.run("start", "--port", "0", DATABASE_URL="postgres://nobody@127.0.0.1:9/gantry")
    assert ended.returncode == 1
    assert ended.stdout.count("The database cannot be used") == 1
    assert "Traceback" not in ended.stdout


@pytest.mark.parametrize(
    ("mount", "sentence"),
    [
        ("mount -t tmpfs -o ro none data", "cannot be written"),
        ("mount -t tmpfs -o size=16k none data", "The database cannot be used: "),
    ],
    ids=["read-only", "full"],
)
def test_a_data_folder_that_takes_nothing_is_one_sentence(
    checkout: Checkout, namespace: list[str], mount: str, sentence: str
) -> None:
    (checkout.root / "data").mkdir()
    script = 'cd "$1" && eval "$2" && exec bin/gantry start --port 0'
    ended = run(*namespace, "sh", "-c", script, "sh", str(checkout.root), mount, env=checkout.env)
    assert ended.returncode == 1
    assert sentence in ended.stdout
    assert "Traceback" not in ended.stdout
