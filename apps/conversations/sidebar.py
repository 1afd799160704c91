"""The sidebar's list: a person's conversations by day, a part at a time.

A part goes on from a place in the order, not from a row or a count, so that nothing is missed or shown twice when
conversations move while somebody scrolls. Days are those of the current time zone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.conversations.models import Conversation, Place

CONVERSATIONS_A_PAGE = 50


def read_place(text: str) -> Place | None:
    """The place that was written as text, or None where nothing was; what makes no sense finds nothing."""
    try:
        return Place.read(text) if text else None
    except ValueError:
        raise Http404 from None


@dataclass
class Shelf:
    """Conversations of one day or span of days; without a label when the part before already showed it."""

    key: str
    label: str
    conversations: list[Conversation] = field(default_factory=list)


@dataclass(frozen=True)
class Sidebar:
    """A part of the list of conversations, on shelves; `more` is where the next part is."""

    shelves: list[Shelf]
    is_archived: bool
    more: str | None

    @classmethod
    def of(cls, user: User, *, is_archived: bool = False, after: Place | None = None) -> Sidebar:
        """The part that follows the place `after`, or the first one."""
        mine = Conversation.objects.visible_to(user).kept()
        rows = (mine.archived() if is_archived else mine.active()).by_activity()
        if after is not None:
            rows = rows.after(after)
        found = list(rows[: CONVERSATIONS_A_PAGE + 1])
        shown = found[:CONVERSATIONS_A_PAGE]
        more = _more(shown[-1], is_archived=is_archived) if len(found) > len(shown) else None
        return cls(shelve(shown, after), is_archived, more)


def _more(last: Conversation, *, is_archived: bool) -> str:
    return f"{reverse('conversations')}?{urlencode({'after': Place.of(last), 'archived': str(is_archived).lower()})}"


def shelve(rows: Iterable[Conversation], after: Place | None = None) -> list[Shelf]:
    """The conversations by shelf, in their order; the shelf that `after` stands on goes on without a label."""
    today = timezone.localdate()
    shelves: list[Shelf] = []
    previous = shelf_of(after, today)[0] if after else ""
    for row in rows:
        key, label = shelf_of(row, today)
        if not shelves or shelves[-1].key != key:
            shelves.append(Shelf(key, "" if key == previous else label))
        shelves[-1].conversations.append(row)
    return shelves


def shelf_of(row: Conversation | Place, today: date) -> tuple[str, str]:
    """The key and the label of the shelf that a conversation stands on."""
    if row.pinned:
        return "pinned", "Pinned"
    day = _local_date(row.updated_at)
    if day >= today:
        return "today", "Today"
    if day == today - timedelta(days=1):
        return "yesterday", "Yesterday"
    if day >= today - timedelta(days=7):
        return "week", "Previous 7 days"
    if day >= today - timedelta(days=30):
        return "month", "Previous 30 days"
    return f"{day:%Y-%m}", f"{day:%B}" if day.year == today.year else f"{day:%B %Y}"


def _local_date(at: datetime) -> date:
    return timezone.localtime(at).date()
