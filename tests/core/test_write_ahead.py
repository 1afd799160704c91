"""What was deleted does not go on standing in SQLite's log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from apps.accounts.models import User
from apps.core import write_ahead

pytestmark = [
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL has no such log"),
    pytest.mark.django_db(transaction=True),
]


def logged() -> bytes:
    return Path(f"{connection.settings_dict['NAME']}-wal").read_bytes()


def test_the_log_is_emptied_as_soon_as_nobody_reads_it(alice: User) -> None:
    alice.rename("Xylocanary")
    with closing(sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM accounts_user").fetchone()
        alice.rename("Alice")
        write_ahead.forget()
        assert b"Xylocanary" in logged(), "a reader sees what was there when it began"
        reader.execute("COMMIT")
        write_ahead.forget()
    assert logged() == b""
    alice.refresh_from_db()
    assert alice.display_name == "Alice"


def test_writers_wait_as_long_as_before_afterwards(alice: User) -> None:
    def patience() -> int:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            return int(cursor.fetchone()[0])

    before = patience()
    alice.rename("Alice B.")
    write_ahead.forget()
    assert patience() == before
