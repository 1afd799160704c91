"""SQLite's write-ahead log, where pages stand as they were before something in them was deleted.

Nothing empties it as long as the database is open, so what was deleted would lie there until other pages happen to be
written over it. `forget` empties it; whoever reads just then is not waited for, so it is to be tried again and again.
PostgreSQL has nothing of the kind that others could read.
"""

from __future__ import annotations

from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, connections

_PATIENCE_MS = 100


def forget(using: str = DEFAULT_DB_ALIAS) -> None:
    """Write what is in the log into the database and empty it, if there is something in it and nobody reads it."""
    connection = connections[using]
    if connection.vendor != "sqlite" or not _has_pages(str(connection.settings_dict["NAME"])):
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        (patience,) = cursor.fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.fetchall()
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {patience}")


def _has_pages(database: str) -> bool:
    log = Path(f"{database}-wal")
    return log.exists() and log.stat().st_size > 0
