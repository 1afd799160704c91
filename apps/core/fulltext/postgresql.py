"""Full text on PostgreSQL: a stored tsvector for each row, in a table of its own with its owner, under a GIN index.

A table of its own, so that nobody who reads a row carries its words along, and no change of another column touches the
index. Text search is configured like `english`, but keeps stop words, which somebody may ask for alone. Punctuation is
taken out first, since the parser would make one word of `example.org/path`; so are accents.
"""

# ruff: noqa: S608 -- SQL is put together from names that are our own; values are parameters

from __future__ import annotations

import unicodedata

from django.db import connection

from apps.core.fulltext.definition import IndexDefinition, Language
from apps.core.fulltext.query import Query, Term, words_of
from apps.core.triggers import Definition, Trigger

# A tsvector holds at most a megabyte; this many characters never are more.
MAX_CHARACTERS = 100_000

_CONFIGURATIONS: dict[Language, str] = {"english": "gantry_english", "plain": "simple"}
_PUNCTUATION = "".join(mark for mark in map(chr, range(33, 127)) if not mark.isalnum())

_CONFIGURE = """
    DO $$ BEGIN
        CREATE TEXT SEARCH DICTIONARY gantry_stem (TEMPLATE = snowball, LANGUAGE = english);
        CREATE TEXT SEARCH CONFIGURATION gantry_english (COPY = english);
        ALTER TEXT SEARCH CONFIGURATION gantry_english ALTER MAPPING REPLACE english_stem WITH gantry_stem;
    EXCEPTION WHEN unique_violation OR duplicate_object THEN NULL;
    END $$;
"""


def definition(index: IndexDefinition) -> Definition:
    """Its table and triggers."""
    name, table, column = index.name, index.table, index.column
    enter = f"INSERT INTO {name} SELECT NEW.id, {index.owner_of('NEW')}, {_document(index, f'NEW.{column}')}"
    remove = f"DELETE FROM {name} WHERE id = OLD.id;"
    changed = f"NEW.{column} IS DISTINCT FROM OLD.{column}"
    differs = f"{index.includes('OLD')} <> {index.includes('NEW')} OR {index.includes('NEW')} AND {changed}"
    return Definition(
        tables={name: f"{_CONFIGURE} {_table(name)}"},
        triggers=(
            Trigger(f"{name}_insert", table, "AFTER INSERT", f"{enter};", index.includes("NEW")),
            Trigger(
                f"{name}_update", table, index.update_event, f"{remove} {enter} WHERE {index.includes('NEW')};", differs
            ),
            Trigger(f"{name}_delete", table, "AFTER DELETE", remove, index.includes("OLD")),
            Trigger(f"{name}_truncate", table, "AFTER TRUNCATE", f"TRUNCATE {name};"),
        ),
        fill=(
            f"""
            INSERT INTO {name} SELECT id, {index.owner_of("it")}, {_document(index, column)} FROM {table} it
            WHERE {index.includes("it")}
            """,
        ),
    )


def _table(name: str) -> str:
    return f"""
        CREATE TABLE {name} (id bigint PRIMARY KEY, owner_id bigint NOT NULL, document tsvector NOT NULL);
        CREATE INDEX {name}_words ON {name} USING gin (document) WITH (fastupdate = off);
        CREATE INDEX {name}_newest ON {name} (owner_id, id);
    """


def _document(index: IndexDefinition, text: str) -> str:
    marks, blanks = _PUNCTUATION.replace("'", "''"), " " * len(_PUNCTUATION)
    spaced = f"translate({text}, '{marks}', '{blanks}')"
    bare = f"regexp_replace(normalize({spaced}, NFKD), '[\u0300-\u036f]', '', 'g')"
    return f"to_tsvector('{_CONFIGURATIONS[index.language]}', left({bare}, {MAX_CHARACTERS}))"


def ranked(index: IndexDefinition, owner_id: int, query: Query, among: int) -> list[tuple[int, float]]:
    """The newest matches with PostgreSQL's rank, where a long text counts less for each word."""
    sql = f"""
        WITH asked AS (SELECT to_tsquery('{_CONFIGURATIONS[index.language]}', %s) AS query)
        SELECT id, ts_rank(document, (SELECT query FROM asked), 1) FROM (
            SELECT id, document FROM {index.name}
            WHERE owner_id = %s AND document @@ (SELECT query FROM asked) ORDER BY id DESC LIMIT %s
        ) newest
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [_query(query), owner_id, among])
        return list(cursor.fetchall())


def newest(index: IndexDefinition, owner_id: int, term: Term, limit: int) -> list[int]:
    """The newest matches of one term."""
    sql = f"""
        SELECT id FROM {index.name}
        WHERE owner_id = %s AND document @@ to_tsquery('{_CONFIGURATIONS[index.language]}', %s)
        ORDER BY id DESC LIMIT %s
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [owner_id, _query(Query([term], "any")), limit])
        return [pk for (pk,) in cursor.fetchall()]


def _query(query: Query) -> str:
    """PostgreSQL's words for it. A term holds letters, digits and spaces alone, so nothing in it needs escaping."""
    lexemes = [(" ".join(words_of(_bare(term.text))), ":*" if term.is_open else "") for term in query.terms]
    return (" & " if query.wanted == "all" else " | ").join(f"'{text}'{mark}" for text, mark in lexemes if text)


def _bare(text: str) -> str:
    """Without accents, as `_document` has it."""
    return "".join(mark for mark in unicodedata.normalize("NFKD", text) if not "\u0300" <= mark <= "\u036f")
