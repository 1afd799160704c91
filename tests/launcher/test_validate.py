"""`bin/gantry validate` says in one line how each check went, and shows what failed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Checkout

PASSES = "echo all is well"
TOOLS = ("ruff", "djlint", "lint-imports", "mypy")
CLOSING = "===== 3 passed, 1 skipped in 0.10s ====="


@pytest.fixture
def tools(checkout: Checkout) -> Path:
    """The folder of the checks' programs, in which all of them pass at once."""
    folder = checkout.root / ".venv" / "bin"
    for tool in TOOLS:
        _put(folder / tool, PASSES)
    _put(folder / "pytest", f'echo "called with $*"; echo "{CLOSING}"')
    return folder


def _put(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_when_all_pass_there_is_a_line_each_and_pytests_own_comes_last(checkout: Checkout, tools: Path) -> None:
    ended = checkout.run("validate")
    assert ended.returncode == 0, ended.stdout
    lines = ended.stdout.splitlines()
    assert lines[-1] == CLOSING
    assert lines[-2].endswith("all passed")
    for check in ("format", "lint", "types", "imports", "templates, lint", "migrations", "tests"):
        assert any(line.startswith(f"ok    {check} ") for line in lines), check
    assert "all is well" not in ended.stdout


def test_what_failed_is_shown_whole_and_the_others_still_ran(checkout: Checkout, tools: Path) -> None:
    _put(tools / "mypy", "echo 'models.py:1: error: no such thing'; exit 1")
    ended = checkout.run("validate")
    assert ended.returncode == 1
    assert "models.py:1: error: no such thing" in ended.stdout
    assert "FAIL  types " in ended.stdout
    assert "ok    tests " in ended.stdout
    assert ended.stdout.splitlines()[-2].endswith("failed: types, types of the launcher")
    assert ended.stdout.splitlines()[-1] == CLOSING


def test_the_developers_settings_and_data_are_left_alone(checkout: Checkout, tools: Path) -> None:
    (checkout.root / ".env").write_text("SECRET_KEY=mine\nDEBUG=true\nTABBY_HOST=http://mine\nDATA_DIR=mine\n")
    _put(tools / "pytest", 'echo "key=$SECRET_KEY debug=$DEBUG model=$TABBY_HOST data=$DATA_DIR"; exit 1')
    ended = checkout.run("validate", DATABASE_URL="postgres://mine")
    assert ended.returncode == 1
    said = next(line for line in ended.stdout.splitlines() if line.startswith("key="))
    assert "debug=false" in said
    assert "mine" not in said
    assert not (checkout.root / "mine").exists()
    assert not (checkout.root / "data").exists()


def test_without_chromium_the_browser_tests_are_left_out_with_the_reason(
    checkout: Checkout, tools: Path, tmp_path: Path
) -> None:
    path = tmp_path / "path"
    path.mkdir()
    for tool in ("dirname", "readlink", "nice"):
        (path / tool).symlink_to(str(shutil.which(tool)))
    _put(tools / "pytest", 'echo "called with $*"; exit 1')
    without = checkout.run("validate", PATH=str(path))
    assert "no Chromium on PATH" in without.stdout
    assert "called with -n 2 -m not e2e" in without.stdout
    _put(path / "chromium", PASSES)
    with_one = checkout.run("validate", PATH=str(path))
    assert "no Chromium" not in with_one.stdout
    assert "called with -n 2\n" in with_one.stdout
