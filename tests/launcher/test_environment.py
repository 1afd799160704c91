"""`.venv` is filled when a lock file changed and only then; what goes wrong is one sentence."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import Checkout, read_until

INSTALLS = "print('Collecting django==5.2'); print('Installing collected packages: django')"


def _change_lock(checkout: Checkout, name: str = "requirements.txt") -> None:
    with (checkout.root / name).open("a") as lock:
        lock.write("# newer\n")


def test_nothing_is_installed_while_the_lock_is_the_one_installed(checkout: Checkout) -> None:
    checkout.use_pip("sys.exit('pip was called')")
    ended = checkout.run("version")
    assert ended.returncode == 0, ended.stdout
    assert "Installing" not in ended.stdout


def test_a_changed_lock_is_installed_once_with_its_progress_shown(checkout: Checkout) -> None:
    checkout.use_pip(INSTALLS)
    _change_lock(checkout)
    first, second = checkout.run("version"), checkout.run("version")
    assert "packages (requirements.txt) …" in first.stdout
    assert "unpacking" in first.stdout
    assert "Installed in" in first.stdout
    assert "Install" not in second.stdout
    assert (first.returncode, second.returncode) == (0, 0)


def test_only_the_verbs_that_need_the_model_install_it(checkout: Checkout) -> None:
    checkout.use_pip("sys.exit('pip was called')")
    _change_lock(checkout, "requirements-model.txt")
    assert checkout.run("version").returncode == 0
    assert "(requirements-model.txt)" in checkout.run("serve_model").stdout


def test_an_install_that_was_cut_off_is_done_again(checkout: Checkout) -> None:
    checkout.use_pip("import os; os.kill(os.getpid(), 9)")
    _change_lock(checkout)
    assert checkout.run("version").returncode == 1
    shutil.copy2(checkout.root / "requirements.txt", checkout.root / "requirements.copy")
    checkout.use_pip(INSTALLS)
    assert "Installed in" in checkout.run("version").stdout


def test_a_second_call_waits_for_the_one_that_installs(checkout: Checkout) -> None:
    checkout.use_pip(INSTALLS)
    _change_lock(checkout)
    folder = os.open(checkout.root, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    second = checkout.popen("version")
    read_until(second, "Another bin/gantry is installing; waiting for it")
    os.close(folder)
    read_until(second, "Installed in")
    second.communicate(timeout=30)
    assert second.returncode == 0


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "not the one that was locked"),
        ("ERROR: No matching distribution found for uvloop==0.23", "uvloop has no build for this machine"),
        ("ERROR: a new kind of trouble", "pip could not install the packages: ERROR: a new kind of trouble"),
    ],
)
def test_what_pip_stumbles_over_is_said_in_a_sentence(checkout: Checkout, said: str, sentence: str) -> None:
    checkout.use_pip(f"print({said!r}); sys.exit(1)")
    _change_lock(checkout)
    ended = checkout.run("version")
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1].startswith("gantry: ")
    assert sentence in ended.stdout
    assert "Traceback" not in ended.stdout


def test_a_venv_whose_python_vanished_is_made_again_and_a_missing_network_is_said(checkout: Checkout) -> None:
    python = checkout.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    ended = checkout.run(
        "check", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="0"
    )
    assert ended.returncode == 1
    assert "Making " in ended.stdout
    assert "check this machine's connection to the internet" in ended.stdout.splitlines()[-1]
    assert python.exists()


def test_ctrl_c_while_installing_leaves_nothing_running(checkout: Checkout) -> None:
    checkout.use_pip("import time; print('Collecting django==5.2', flush=True); time.sleep(60)")
    _change_lock(checkout)
    process = checkout.popen("version")
    read_until(process, "Installing")
    _wait_for_child(process)
    os.killpg(process.pid, 2)
    said = process.communicate(timeout=10)[0]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "nothing is left running" in said
    _wait_for_group_to_end(process.pid)


def _wait_for_group_to_end(group: int) -> None:
    """What is ended by a closed pipe hears of it an instant later, and nothing else announces its end."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("something is left running")


def _wait_for_child(process: subprocess.Popen[str]) -> None:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 10
    while not children.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
