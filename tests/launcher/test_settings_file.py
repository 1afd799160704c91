"""`.env` is written once, for its owner's eyes; what is wrong in it is said by name."""

from __future__ import annotations

import stat

import pytest

from .conftest import Checkout


def _lines(checkout: Checkout) -> list[str]:
    return (checkout.root / ".env").read_text().splitlines()


def test_it_is_the_example_with_a_random_key_that_only_its_owner_reads(checkout: Checkout) -> None:
    keys = set()
    for _ in range(2):
        (checkout.root / ".env").unlink(missing_ok=True)
        assert checkout.run("version").returncode == 0
        assert stat.S_IMODE((checkout.root / ".env").stat().st_mode) == 0o600
        [key] = [line for line in _lines(checkout) if line.startswith("SECRET_KEY=")]
        keys.add(key)
        example = (checkout.root / ".env.example").read_text().splitlines()
        assert [line for line in _lines(checkout) if line != key] == [
            line for line in example if not line.startswith("SECRET_KEY=")
        ]
    assert len(keys) == 2
    assert all(len(key) > 60 for key in keys)
    assert not list(checkout.root.glob(".env.?????*[!e]"))


def test_one_that_is_there_is_left_alone(checkout: Checkout) -> None:
    (checkout.root / ".env").write_text("SECRET_KEY=mine\n")
    assert checkout.run("version").returncode == 0
    assert _lines(checkout) == ["SECRET_KEY=mine"]


def test_none_is_written_when_the_environment_has_the_key(checkout: Checkout) -> None:
    assert checkout.run("version", SECRET_KEY="x" * 50).returncode == 0
    assert not (checkout.root / ".env").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("SESSION_EXPIRE_HOURS=soon", "SESSION_EXPIRE_HOURS has a value that cannot be used"),
        ("LLM_TOTAL_TIMEOUT=soon", "LLM_TOTAL_TIMEOUT has a value that cannot be used"),
        ("DATA_DIR=manage.py/data", "manage.py/data"),
        ("PUBLIC_URL=gantry.example.org", "PUBLIC_URL does not begin with"),
        ("DATABASE_URL=mysql://x", "DATABASE_URL is neither"),
    ],
)
@pytest.mark.parametrize("verb", ["start", "version"])
def test_a_broken_value_is_one_sentence(checkout: Checkout, verb: str, line: str, sentence: str) -> None:
    (checkout.root / ".env").write_text(f"SECRET_KEY=mine\n{line}\n")
    arguments = ("start", "--port", "0") if verb == "start" else (verb,)
    ended = checkout.run(*arguments)
    assert ended.returncode == 1
    assert sentence in ended.stdout
    assert ended.stdout.count("\n") == 1
