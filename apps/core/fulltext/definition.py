"""What is indexed, whose it is, and how its words are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["english", "plain"]


@dataclass(frozen=True)
class IndexDefinition:
    """A text column of a table whose key is `id`; `name` is that of the index's own tables.

    `owner` and `condition` are SQL over `{row}`: whose a row is, and whether it is indexed at all. `watched` are the
    columns that the condition reads, `needs` further tables that the two name. The words of an "english" text are
    stemmed, those of a "plain" one are left as they are; capitals and accents count in neither.
    """

    name: str
    table: str
    column: str
    owner: str = "{row}.owner_id"
    condition: str = "TRUE"
    watched: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    language: Language = "english"

    def owner_of(self, row: str) -> str:
        """SQL for the owner of OLD, NEW or an alias."""
        return self.owner.format(row=row)

    def includes(self, row: str) -> str:
        """SQL for whether a row is indexed."""
        return f"({self.condition.format(row=row)})"

    @property
    def update_event(self) -> str:
        """The event after which a row may have to be entered anew."""
        return "AFTER UPDATE OF " + ", ".join((self.column, *self.watched))
