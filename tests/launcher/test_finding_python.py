"""bin/gantry finds a Python that will do, or says which it found."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from .conftest import Checkout, run


@pytest.fixture
def bare_path(tmp_path: Path, checkout: Checkout) -> Path:
    """A PATH without any Python, and no `.venv`."""
    shutil.rmtree(checkout.root / ".venv")
    folder = tmp_path / "path"
    folder.mkdir()
    for tool in ("dirname", "readlink"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    checkout.env["PATH"] = str(folder)
    return folder


def _put(program: Path, script: str) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_without_any_python_it_says_what_is_needed(checkout: Checkout, bare_path: Path) -> None:
    ended = checkout.run("start")
    assert ended.returncode == 1
    assert ended.stdout == (
        "gantry: Python 3.11, 3.12 or 3.13 is needed; found: none."
        " Install one, such as with: sudo apt-get install python3 python3-venv\n"
    )


def test_pythons_that_will_not_do_are_named_with_their_versions(checkout: Checkout, bare_path: Path) -> None:
    _put(bare_path / "python3", "echo 3.9.18; exit 1")
    _put(bare_path / "python3.12", "echo 3.12.1 without ssl; exit 1")
    _put(bare_path / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    ended = checkout.run("start")
    assert ended.returncode == 1
    assert "found: python3.12 is 3.12.1 without ssl, python3 is 3.9.18." in ended.stdout


def test_a_python_that_only_pyenv_has_is_used(checkout: Checkout, bare_path: Path, tmp_path: Path) -> None:
    _put(tmp_path / "pyenv" / "versions" / "3.12.9" / "bin" / "python", f'exec "{sys.executable}" "$@"')
    ended = checkout.run("--help", PYENV_ROOT=str(tmp_path / "pyenv"))
    assert ended.returncode == 0, ended.stdout
    assert "bin/gantry validate" in ended.stdout


@pytest.mark.parametrize("home", [None, ""])
def test_it_works_through_links_from_any_folder_and_without_a_home(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    links = tmp_path / "my links"
    links.mkdir()
    (links / "absolute").symlink_to(checkout.entrance)
    (links / "gantry").symlink_to("absolute")
    monkeypatch.chdir(links)
    env = {name: value for name, value in checkout.env.items() if name != "HOME"}
    env |= {"SECRET_KEY": "x" * 50, "PATH": os.pathsep.join([str(links), env["PATH"]])}
    ended = run("gantry", "diffsettings", env=env if home is None else env | {"HOME": home})
    assert ended.returncode == 0, ended.stdout
    assert str(checkout.root / "data") in ended.stdout


def test_modules_that_pythonpath_names_are_not_its_own(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "environment.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "django.py").write_text("raise SystemExit('the wrong one')")
    ended = checkout.run("check", PYTHONPATH=str(tmp_path), PYTHONHOME=str(tmp_path))
    assert ended.returncode == 0, ended.stdout
