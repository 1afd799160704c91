"""How entities are called: names that compare equal, and how long they may be."""

from __future__ import annotations

import unicodedata

NAME_MAX = 200
PREDICATE_MAX = 100


def fold_name(name: str) -> str:
    """The one form in which names are compared: two that differ in case, width or spaces are one."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def is_storable(name: str) -> bool:
    """Whether an entity may be called so: both databases keep it, and its folded form, as it is."""
    return name.isprintable() and 0 < len(name) <= NAME_MAX and 0 < len(fold_name(name)) <= NAME_MAX
