"""Database objects that Django does not know: triggers, and the tables that they alone fill.

Apps declare them in `AppConfig.ready`. They are made as soon as migrations have run (`post_migrate`), and looked after
by `ensure`, since Django remakes a SQLite table for many a migration and its triggers then vanish without a word.

What surprises: SQLite renames no table while a trigger names one that is missing, and PostgreSQL changes no column that
a trigger watches. So before migrations run, the triggers on tables of the apps concerned are laid down; afterwards they
are made anew, and their tables filled from what is there. A name in the database ends in a fingerprint of the whole
declaration, so one query tells whether everything is there as declared.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.db.models.options import Options
from django.db.models.signals import post_migrate, pre_migrate

log = logging.getLogger(__name__)

_PRESENT_SQL = {
    "sqlite": "SELECT name FROM sqlite_master",
    "postgresql": """
        SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
        UNION ALL SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace
    """,
}


@dataclass(frozen=True)
class Trigger:
    """What the database does by itself at an event such as `AFTER UPDATE OF text`, for each row.

    `body` is statements, each ended by `;`, that may speak of OLD and NEW; `when` a condition on those two, without a
    subquery.
    """

    name: str
    table: str
    event: str
    body: str
    when: str = ""


@dataclass(frozen=True)
class Definition:
    """What one kind of database is told: statements that make tables, by table; triggers; statements that fill the
    tables with what is to be derived from rows that are there already."""

    triggers: tuple[Trigger, ...]
    tables: Mapping[str, str] = field(default_factory=dict)
    fill: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Another one for everything that is defined otherwise."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:8]

    def names(self) -> dict[str, Trigger]:
        """The triggers by their names in the database."""
        return {f"{trigger.name}_{self.fingerprint}": trigger for trigger in self.triggers}


@dataclass(frozen=True)
class Declaration:
    """Objects that belong together. Nothing is made while one of the tables that it `needs` is missing."""

    name: str
    needs: tuple[str, ...]
    sqlite: Definition
    postgresql: Definition

    def definition(self, vendor: str) -> Definition:
        """What a database of this vendor is told."""
        return self.sqlite if vendor == "sqlite" else self.postgresql


_declared: dict[str, Declaration] = {}


def declare(declaration: Declaration) -> None:
    """From now on these objects belong into the database."""
    _declared[declaration.name] = declaration


def withdraw(name: str) -> None:
    """They no longer do; what was made stays."""
    del _declared[name]


def missing(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """The declarations that are not, or not wholly, in the database: one query."""
    connection = connections[using]
    present = _present(connection)
    return [each.name for each in _declared.values() if _lacks(each.definition(connection.vendor), each.needs, present)]


def ensure(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Make what is missing, and return the names of it. Where nothing is, this costs one query."""
    lacking = missing(using)
    if lacking:
        with transaction.atomic(using):
            _wait_for_others(connections[using])
            for name in missing(using):
                _make(_declared[name], connections[using])
        log.info("made in the database: %s", ", ".join(lacking))
    return lacking


def listen() -> None:
    """Follow migrations. They are announced app by app; hearing of the first is enough, for by then all have run."""
    first = next(config for config in apps.get_app_configs() if config.models_module)
    pre_migrate.connect(_lay_down, sender=first, dispatch_uid="triggers")
    post_migrate.connect(_make_all, sender=first, dispatch_uid="triggers")


def _make_all(using: str, **_: Any) -> None:
    ensure(using)


def _lay_down(using: str, plan: list[tuple[Any, bool]], **_: Any) -> None:
    """Drop the triggers that could stand in the way of these migrations."""
    changing = {migration.app_label for migration, _backwards in plan}
    tables = {options.db_table for options in map(_options, apps.get_models()) if options.app_label in changing}
    connection = connections[using]
    for declaration in _declared.values():
        if tables.intersection(declaration.needs):
            drop_triggers(declaration.definition(connection.vendor), connection)


def _options(model: type[Model]) -> Options[Any]:
    return model._meta  # noqa: SLF001 -- this is public, and documented


def _lacks(definition: Definition, needs: tuple[str, ...], present: set[str]) -> bool:
    can_be = present.issuperset(needs)
    return can_be and not present.issuperset((*definition.tables, *definition.names()))


def _make(declaration: Declaration, connection: BaseDatabaseWrapper) -> None:
    definition = declaration.definition(connection.vendor)
    drop_triggers(definition, connection)
    with connection.cursor() as cursor:
        for table, statement in definition.tables.items():
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            cursor.execute(statement)
        for name, trigger in definition.names().items():
            cursor.execute(_sql(name, trigger, connection.vendor))
        for statement in definition.fill:
            cursor.execute(statement)


def drop_triggers(definition: Definition, connection: BaseDatabaseWrapper) -> None:
    """Those of this definition and of any earlier one."""
    present = _present(connection)
    with connection.cursor() as cursor:
        for trigger in definition.triggers:
            for name in filter(re.compile(rf"{trigger.name}_[0-9a-f]{{8}}").fullmatch, present):
                on = "" if connection.vendor == "sqlite" else f"ON {trigger.table}"
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} {on}")
                if connection.vendor == "postgresql":
                    cursor.execute(f"DROP FUNCTION IF EXISTS {name}()")


def _sql(name: str, trigger: Trigger, vendor: str) -> str:
    when = f"WHEN ({trigger.when})" if trigger.when else ""
    if vendor == "sqlite":
        return f"CREATE TRIGGER {name} {trigger.event} ON {trigger.table} {when} BEGIN {trigger.body} END"
    each = "STATEMENT" if trigger.event.endswith("TRUNCATE") else "ROW"
    return f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {trigger.body} RETURN NULL; END $$;
        CREATE TRIGGER {name} {trigger.event} ON {trigger.table} FOR EACH {each} {when} EXECUTE FUNCTION {name}();
    """


def _present(connection: BaseDatabaseWrapper) -> set[str]:
    """The names of all tables and triggers."""
    with connection.cursor() as cursor:
        cursor.execute(_PRESENT_SQL[connection.vendor])
        return {name for (name,) in cursor.fetchall()}


def _wait_for_others(connection: BaseDatabaseWrapper) -> None:
    """Two processes may start at once. SQLite's transaction holds the write lock from its beginning."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('apps.core.triggers'))")
