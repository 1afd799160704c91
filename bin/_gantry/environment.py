"""The room everything runs in: `.venv` with the locked packages, and `.env`.

Each lock file has its stamp, a copy of it in `.venv/installed`, made when its packages are all there; so an install
that was cut off starts again and one that is done costs nothing. One process installs at a time, others wait for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import filecmp
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import packages
from refusals import Refusal

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"
RUN, MODEL, DEVELOP = "requirements.txt", "requirements-model.txt", "requirements-dev.txt"

_VENV = ROOT / ".venv"
_STAMPS = _VENV / "installed"
_DOTENV = ROOT / ".env"


def prepare(*locks: str) -> None:
    """Go on inside `.venv`, holding the packages of these lock files; returns at once when that is so already."""
    if not is_prepared(*locks):
        with _alone():
            _install(locks)
    if Path(sys.prefix) != _VENV:
        os.execv(PYTHON, [str(PYTHON), "-I", str(Path(__file__).parent), *sys.argv[1:]])  # noqa: S606 - ourselves


def is_prepared(*locks: str) -> bool:
    """Whether `.venv` holds the packages of these lock files."""
    return _venv_works() and not _missing(locks)


def configure() -> None:
    """Write `.env`, unless it is there or the environment already says what it would say."""
    if _DOTENV.exists() or os.environ.get("SECRET_KEY"):
        return
    with _alone():
        if not _DOTENV.exists():
            _write_dotenv()


def _venv_works() -> bool:
    return Path(sys.prefix) == _VENV or _succeeds(
        "-c", "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"
    )


def _missing(locks: tuple[str, ...]) -> list[str]:
    return [lock for lock in locks if not _is_stamped(lock)]


def _is_stamped(lock: str) -> bool:
    return (_STAMPS / lock).exists() and filecmp.cmp(_STAMPS / lock, ROOT / lock, shallow=False)


def _install(locks: tuple[str, ...]) -> None:
    if not (_venv_works() and _succeeds("-m", "pip", "--version")):
        _make_venv()
    missing = _missing(locks)
    for lock in missing:
        (_STAMPS / lock).unlink(missing_ok=True)
    if missing:
        packages.install(PYTHON, [ROOT / lock for lock in missing])
    _STAMPS.mkdir(exist_ok=True)
    for lock in missing:
        shutil.copyfile(ROOT / lock, _STAMPS / lock)


def _make_venv() -> None:
    print(f"Making {_VENV} with Python {'.'.join(map(str, sys.version_info[:3]))} …")
    try:
        venv.create(_VENV, clear=True, symlinks=True, with_pip=True)
    except subprocess.CalledProcessError as failed:
        reason = f"Python could not make {_VENV} ({failed}). On Debian or Ubuntu: sudo apt-get install python3-venv"
        raise Refusal(reason) from failed


def _succeeds(*arguments: str) -> bool:
    """Whether the Python of `.venv` is there and runs this to a good end."""
    try:
        return subprocess.run([PYTHON, "-I", *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the checkout's lock, which the kernel drops when its holder ends."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another bin/gantry is installing; waiting for it …")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write_dotenv() -> None:
    """Nobody else can read it from its first byte on, and it appears whole or not at all."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines(keepends=True)
    key = f"SECRET_KEY={secrets.token_urlsafe(50)}\n"
    written, draft = tempfile.mkstemp(prefix=".env.", dir=ROOT)
    try:
        with os.fdopen(written, "w", encoding="utf-8") as file:
            file.writelines(key if line.startswith("SECRET_KEY=") else line for line in lines)
        Path(draft).replace(_DOTENV)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
    print(f"Wrote {_DOTENV} with a SECRET_KEY of its own.")
