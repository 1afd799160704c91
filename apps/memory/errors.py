"""What memory refuses.

GantryError
 └─ Conflict   409
     └─ NameTaken
"""

from __future__ import annotations

from apps.core.errors import Conflict


class NameTaken(Conflict):
    """Another entity of this person is called so; the two can be merged instead."""

    code = "name_taken"
    detail = "Something else is called that already. Merge the two instead."

    def __init__(self, entity_id: int) -> None:
        super().__init__()
        self.entity_id = entity_id
