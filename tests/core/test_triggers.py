"""What is declared for the database is in it, whatever migrations do to its tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations import Migration
from django.db.models import Q
from django.db.models.signals import pre_migrate
from django.test.utils import CaptureQueriesContext

from apps.core import triggers
from apps.core.triggers import Declaration, Definition, Trigger

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def farewells() -> Iterator[None]:
    """A trigger that counts the boots that go, and one that hangs on a table that is not there."""
    from apps.conversations.models import Boot

    body = "INSERT INTO farewell (boot) VALUES (OLD.id);"
    definition = Definition(
        triggers=(Trigger("farewell_said", Boot._meta.db_table, "AFTER DELETE", body),),
        tables={"farewell": "CREATE TABLE farewell (boot text)"},
    )
    triggers.declare(Declaration("farewell", (Boot._meta.db_table,), definition, definition))
    triggers.declare(Declaration("nowhere", ("no_such_table",), definition, definition))
    yield
    triggers.withdraw("farewell")
    triggers.withdraw("nowhere")
    triggers.drop_triggers(definition, connection)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS farewell")


def _said() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT boot FROM farewell")
        return [boot for (boot,) in cursor.fetchall()]


def _say(boot: str) -> list[str]:
    from django.utils import timezone

    from apps.conversations.models import Boot

    Boot.objects.create(pk=boot, beat_at=timezone.now()).delete()
    return _said()


def test_what_is_missing_is_made_and_works(farewells: None) -> None:
    assert triggers.missing() == ["farewell"]
    assert triggers.ensure() == ["farewell"]
    assert triggers.missing() == []
    assert _say("one") == ["one"]


def test_what_is_there_is_left_alone_at_the_cost_of_one_query(farewells: None) -> None:
    triggers.ensure()
    _say("one")
    with CaptureQueriesContext(connection) as asked:
        assert triggers.ensure() == []
    assert len(asked) == 1
    assert _said() == ["one"]


def test_another_definition_takes_the_place_of_the_old_one(farewells: None) -> None:
    triggers.ensure()
    body = "INSERT INTO farewell (boot) VALUES ('somebody');"
    trigger = Trigger("farewell_said", "conversations_boot", "AFTER DELETE", body)
    tables = {"farewell": "CREATE TABLE farewell (boot text)"}
    changed = Definition(triggers=(trigger,), tables=tables, fill=("INSERT INTO farewell VALUES ('filled')",))
    triggers.declare(Declaration("farewell", ("conversations_boot",), changed, changed))
    assert triggers.ensure() == ["farewell"]
    assert _say("one") == ["filled", "somebody"]


def test_migrating_makes_what_is_missing(farewells: None) -> None:
    call_command("migrate", verbosity=0)
    assert triggers.missing() == []
    assert _say("one") == ["one"]


def _alter_boots(constraint: models.CheckConstraint) -> None:
    """What a migration that adds a constraint does, from the signal before it to the one behind."""
    from apps.conversations.models import Boot

    step = Migration("9999_constraint", "conversations")
    pre_migrate.send(_first_app(), using="default", plan=[(step, False)], app_config=None, verbosity=0, apps=None)
    with connection.schema_editor() as editor:
        editor.add_constraint(Boot, constraint)


def _first_app() -> object:
    from django.apps import apps

    return next(config for config in apps.get_app_configs() if config.models_module)


def test_a_table_that_a_migration_remakes_has_its_triggers_again(farewells: None) -> None:
    from apps.conversations.models import Boot

    triggers.ensure()
    constraint = models.CheckConstraint(condition=~Q(id="nobody"), name="boots_are_somebody")
    _alter_boots(constraint)
    assert "farewell" in triggers.missing()  # this is what `ensure` at the start of the web process sees, too
    call_command("migrate", verbosity=0)
    assert triggers.missing() == []
    assert _say("one") == ["one"]
    with connection.schema_editor() as editor:
        editor.remove_constraint(Boot, constraint)
    triggers.ensure()


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL alters tables where they stand")
def test_triggers_that_vanish_unannounced_are_missed(farewells: None) -> None:
    from apps.conversations.models import Boot

    triggers.ensure()
    constraint = models.CheckConstraint(condition=~Q(id="nobody"), name="boots_are_somebody")
    with connection.schema_editor() as editor:
        editor.add_constraint(Boot, constraint)
    assert triggers.missing() == ["farewell"]
    with connection.schema_editor() as editor:
        editor.remove_constraint(Boot, constraint)
    assert triggers.ensure() == ["farewell"]
