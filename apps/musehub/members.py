"""Questions about the members of a JSON list of texts, which Django's own lookups cannot ask of SQLite.

Importing this module teaches them to every JSONField: `participants__has_member="Ann"`,
`participants__member_contains="ann"`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup
from django.db.models.sql.compiler import SQLCompiler


def digest(texts: Sequence[str]) -> str:
    """A short name for a list: lists of the same texts in the same order have the same."""
    return blake2b(json.dumps(texts).encode(), digest_size=8).hexdigest()


def table(column: str, connection: BaseDatabaseWrapper) -> str:
    """The SQL of a table `member` whose column `value` holds the list's members."""
    if connection.vendor == "sqlite":
        return f"json_each({column}) AS member"
    return f"jsonb_array_elements_text({column}) AS member(value)"


class _OfMembers(Lookup):
    """True where the condition holds for one of the members."""

    condition: str
    # The text is compared as it is, not as JSON.
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        """A subquery over the list."""
        column, parameters = self.process_lhs(compiler, connection)
        query = f"EXISTS (SELECT 1 FROM {table(column, connection)} WHERE {self.condition})"  # noqa: S608 -- our words
        return query, (*parameters, self.right_side())

    def right_side(self) -> str:
        """What the condition compares with."""
        return str(self.rhs)


@models.JSONField.register_lookup
class HasMember(_OfMembers):
    """One of them is this text."""

    lookup_name = "has_member"
    condition = "member.value = %s"


@models.JSONField.register_lookup
class MemberContains(_OfMembers):
    """One of them contains this text, in whatever case."""

    lookup_name = "member_contains"
    condition = r"UPPER(member.value) LIKE UPPER(%s) ESCAPE '\'"

    def right_side(self) -> str:
        """The text, with what LIKE would read as a pattern escaped."""
        escaped = str(self.rhs).replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        return f"%{escaped}%"
