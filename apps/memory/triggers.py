"""What the database keeps in step by itself, whatever door a change comes through."""

from __future__ import annotations

from apps.core.triggers import Declaration, Definition, Trigger, declare
from apps.memory import graph_triggers
from apps.memory.finding import STEMS

# Also a vector that is on its way: its recollection may not know of it yet.
_FORGOTTEN_VECTOR = Definition(
    triggers=(
        Trigger(
            "forgotten_vector",
            "memory_recollection",
            "AFTER DELETE",
            "INSERT INTO memory_forgottenvector (recollection_id, owner_id) VALUES (OLD.id, OLD.owner_id);",
        ),
    )
)


def declare_all() -> None:
    """Have them made with the tables they are for."""
    STEMS.declare()
    graph_triggers.declare_all()
    declare(
        Declaration(
            "forgotten_vector",
            ("memory_recollection", "memory_forgottenvector"),
            sqlite=_FORGOTTEN_VECTOR,
            postgresql=_FORGOTTEN_VECTOR,
        )
    )
