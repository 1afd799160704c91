"""Full text on SQLite, by FTS5.

A row is entered under `owner << 40 | id`: the rows of an owner stand together, in order, so a person with few is
answered at once among millions of others, and the newest come first without sorting. `<name>_rows` holds under what
each row is entered, whatever has become of the rows that told its owner. The index holds no texts of its own.

FTS5 deletes by noting that something is deleted; the words themselves go when its segments are merged into one. `purge`
does that, in steps that each hold the write lock for some milliseconds; `<name>_purge` counts what is to be done.
"""

# ruff: noqa: S608 -- SQL is put together from names that are our own; values are parameters

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from django.db import connection, connections, transaction

from apps.core import write_ahead
from apps.core.fulltext.definition import IndexDefinition
from apps.core.fulltext.query import TOKENIZERS, Query, Term
from apps.core.triggers import Definition, Trigger

_ID_BITS = 40
_PK = f"rowid & {(1 << _ID_BITS) - 1}"
_STEP_PAGES = 100
_STEP_SECONDS = 0.01


def definition(index: IndexDefinition) -> Definition:
    """Its tables and triggers."""
    name, table, column = index.name, index.table, index.column
    changed = f"NEW.{column} IS NOT OLD.{column}"
    differs = f"{index.includes('OLD')} IS NOT {index.includes('NEW')} OR {index.includes('NEW')} AND {changed}"
    enter, remove = _enter(index, "NEW", f"WHERE {index.includes('NEW')}"), _remove(index)
    return Definition(
        tables={
            name: f"CREATE VIRTUAL TABLE {name} USING fts5(text, content='', tokenize='{TOKENIZERS[index.language]}')",
            f"{name}_rows": f"CREATE TABLE {name}_rows (id INTEGER PRIMARY KEY, entry INTEGER NOT NULL)",
            f"{name}_purge": f"CREATE TABLE {name}_purge (deleted INTEGER NOT NULL, merging INTEGER, purged INTEGER)",
        },
        triggers=(
            Trigger(f"{name}_insert", table, "AFTER INSERT", enter, index.includes("NEW")),
            Trigger(f"{name}_update", table, index.update_event, remove + enter, differs),
            Trigger(f"{name}_delete", table, "AFTER DELETE", remove, index.includes("OLD")),
        ),
        fill=(
            f"INSERT INTO {name}_purge VALUES (0, 0, 0)",
            f"INSERT INTO {name}_rows SELECT id, {_entry(index, 'it')} FROM {table} it WHERE {index.includes('it')}",
            f"INSERT INTO {name} (rowid, text) SELECT entry, {column} FROM {table} JOIN {name}_rows USING (id)",
        ),
    )


def _entry(index: IndexDefinition, row: str) -> str:
    return f"{index.owner_of(row)} << {_ID_BITS} | {row}.id"


def _enter(index: IndexDefinition, row: str, where: str) -> str:
    name = index.name
    return (
        f"INSERT INTO {name}_rows SELECT {row}.id, {_entry(index, row)} {where};"
        f"INSERT INTO {name} (rowid, text) SELECT entry, {row}.{index.column} FROM {name}_rows WHERE id = {row}.id;"
    )


def _remove(index: IndexDefinition) -> str:
    name = index.name
    return (
        # A row that is entered only now, such as a reply that ends, leaves nothing behind that is to be purged.
        f"UPDATE {name}_purge SET deleted = deleted + 1 WHERE EXISTS (SELECT 1 FROM {name}_rows WHERE id = OLD.id);"
        f"INSERT INTO {name} ({name}, rowid, text) SELECT 'delete', entry, OLD.{index.column} FROM {name}_rows"
        f" WHERE id = OLD.id;"
        f"DELETE FROM {name}_rows WHERE id = OLD.id;"
    )


def ranked(index: IndexDefinition, owner_id: int, query: Query, among: int) -> list[tuple[int, float]]:
    """The newest matches with their BM25."""
    sql = "SELECT json_group_array(json_array(pk, score)) FROM ({matches})"
    matches = _matches(index, f"{_PK} AS pk, -bm25({index.name}) AS score")
    return [(pk, score) for pk, score in _ask(sql.format(matches=matches), owner_id, _match(query), among)]


def newest(index: IndexDefinition, owner_id: int, term: Term, limit: int) -> list[int]:
    """The newest matches of one term."""
    sql = "SELECT json_group_array(pk) FROM ({matches})"
    return _ask(sql.format(matches=_matches(index, f"{_PK} AS pk")), owner_id, match([term]), limit)


def _matches(index: IndexDefinition, columns: str) -> str:
    name = index.name
    return f"""
        SELECT {columns} FROM {name}
        WHERE {name} MATCH %s AND rowid BETWEEN %s AND %s ORDER BY rowid DESC LIMIT %s
    """


def _ask(sql: str, owner_id: int, match: str, limit: int) -> list[Any]:
    """All that is found, in one row: between any two of them another thread may take the interpreter for a while, so
    that a thousand take as long as a page does."""
    first = owner_id << _ID_BITS
    with connection.cursor() as cursor:
        cursor.execute(sql, [match, first, first + (1 << _ID_BITS) - 1, limit])
        found: list[Any] = json.loads(cursor.fetchone()[0])
        return found


def _match(query: Query) -> str:
    return match(query.terms, " AND " if query.wanted == "all" else " OR ")


def match(terms: Sequence[Term], between: str = " OR ") -> str:
    """FTS5's words for it. A term holds letters, digits and spaces alone, so nothing in it needs escaping."""
    return between.join(f'"{term.text}"' + ("*" if term.is_open else "") for term in terms)


def purge(name: str, using: str) -> bool:
    """One step; whether something is left to do. An index that was not made yet has nothing."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = %s", [f"{name}_purge"])
        if cursor.fetchone() is None:
            return False
        cursor.execute(f"SELECT deleted, merging, purged FROM {name}_purge")
        deleted, merging, purged = cursor.fetchone()
        if deleted == purged:
            return False
        if _merge(cursor, name, using, begins=merging == purged, deleted=deleted):
            return True
        write_ahead.forget(using)
        return bool(deleted != merging != purged)


def _merge(cursor: Any, name: str, using: str, *, begins: bool, deleted: int) -> bool:
    """Merge some pages, all segments towards one; False once they are one."""
    ends = time.monotonic() + _STEP_SECONDS
    with transaction.atomic(using):
        if begins:
            cursor.execute(f"UPDATE {name}_purge SET merging = %s", [deleted])
            _merge_pages(cursor, name, -_STEP_PAGES)
        while _merge_pages(cursor, name, _STEP_PAGES):
            if time.monotonic() >= ends:
                return True
        cursor.execute(f"UPDATE {name}_purge SET purged = merging")
    return False


def _merge_pages(cursor: Any, name: str, pages: int) -> bool:
    """Whether there was something to merge: FTS5 says so by the number of rows it wrote."""
    before = cursor.connection.total_changes
    cursor.execute(f"INSERT INTO {name} ({name}, rank) VALUES ('merge', %s)", [pages])
    return bool(cursor.connection.total_changes - before >= 2)
