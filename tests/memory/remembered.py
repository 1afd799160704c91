"""What tests of the graph begin with: something that was said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from apps.accounts.models import User
from apps.memory.models import Recollection

_numbers = count(1)
_EPOCH = datetime(2026, 5, 3, 12, tzinfo=UTC)


def recollect(owner: User, text: str, *, speaker: str | None = None) -> Recollection:
    """A recollection of its own source, each a day after the one before; said by the owner unless told otherwise."""
    number = next(_numbers)
    return Recollection.objects.create(
        owner=owner,
        source=f"message:{number}",
        thread="conversation:1",
        position=number,
        speaker=owner.display_name if speaker is None else speaker,
        text=text,
        said_at=_EPOCH + timedelta(days=number),
    )
