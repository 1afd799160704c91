"""What the database keeps true of the graph by itself, whatever door a recollection or a mention leaves through.

With a recollection go its mentions and relations; with its last mention goes an entity; and a name that no mention
tells any more is forgotten, unless the person chose it. A trigger and not Django's cascade: that deletes the mentions
which it saw a moment before, and one that a reader stored meanwhile would make the whole deletion fail.

On PostgreSQL each takes the owner's row first, as every writer of the graph does (`graph.py`).
"""

from __future__ import annotations

from apps.core.triggers import Declaration, Definition, Trigger, declare

_TABLES = ("memory_recollection", "memory_entity", "memory_mention", "memory_relation")
_LOCK_OWNER = "PERFORM 1 FROM accounts_user WHERE id = OLD.owner_id FOR NO KEY UPDATE;"

_RECOLLECTION_GONE = """
    DELETE FROM memory_relation WHERE recollection_id = OLD.id;
    DELETE FROM memory_mention WHERE recollection_id = OLD.id;
"""

_MENTION_GONE = """
    DELETE FROM memory_relation
    WHERE recollection_id = OLD.recollection_id AND OLD.entity_id IN (subject_id, object_id)
        AND NOT EXISTS (
            SELECT 1 FROM memory_mention WHERE recollection_id = OLD.recollection_id AND entity_id = OLD.entity_id
        );
    UPDATE memory_entity
    SET (name, key) = (SELECT name, key FROM memory_mention WHERE entity_id = OLD.entity_id ORDER BY id LIMIT 1)
    WHERE id = OLD.entity_id AND name = OLD.name AND NOT is_renamed
        AND NOT EXISTS (SELECT 1 FROM memory_mention WHERE entity_id = OLD.entity_id AND name = OLD.name)
        AND EXISTS (SELECT 1 FROM memory_mention WHERE entity_id = OLD.entity_id);
    DELETE FROM memory_entity
    WHERE id = OLD.entity_id AND NOT EXISTS (SELECT 1 FROM memory_mention WHERE entity_id = OLD.entity_id);
"""


def declare_all() -> None:
    """Have them made with the tables they are for."""
    declare(Declaration("forgotten_facts", _TABLES, sqlite=_definition(), postgresql=_definition(_LOCK_OWNER)))


def _definition(lock: str = "") -> Definition:
    return Definition(
        triggers=(
            Trigger("forgotten_mentions", "memory_recollection", "AFTER DELETE", lock + _RECOLLECTION_GONE),
            Trigger("forgotten_entities", "memory_mention", "AFTER DELETE", lock + _MENTION_GONE),
        )
    )
