"""The chat's pages: a new chat, one conversation, and the parts that the page fetches while it is open.

A link followed within the page asks for `<main>` alone (htmx says so in a header), so that the sidebar stays as it is.
Everything here is private: it is never stored by a cache, and what is somebody else's is a 404.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, wraps
from typing import Concatenate, NamedTuple, ParamSpec, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from apps.accounts.models import User
from apps.conversations.models import Conversation, Message, attach_siblings

MESSAGES_A_PAGE = 40
CONVERSATIONS_A_PAGE = 50
LARGEST_ID = 2**63 - 1


class PageRequest(HttpRequest):
    """A request that reached a page: somebody is signed in."""

    user: User
    htmx: HtmxDetails


P = ParamSpec("P")
View = Callable[Concatenate[PageRequest, P], HttpResponse]
Guarded = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page(view: View[P]) -> Guarded[P]:
    """For whoever is signed in, in their own time zone, and kept by no cache; others are sent to sign in."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        known = cast("PageRequest", request)
        if not request.user.is_authenticated:
            return _sign_in(known)
        with timezone.override(_time_zone(request)):
            return view(known, *args, **kwargs)

    return require_safe(never_cache(guarded))


def _sign_in(request: PageRequest) -> HttpResponse:
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    shown = request.htmx.current_url_abs_path or "/"
    return HttpResponseClientRedirect(redirect_to_login(shown)["Location"])


def _time_zone(request: HttpRequest) -> ZoneInfo:
    """The reader's, which the page's script left in a cookie."""
    name = request.COOKIES.get("timezone", "")
    return ZoneInfo(name if name in _known_time_zones() else "UTC")


@cache
def _known_time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


# --- Pages


@page
def new_chat(request: PageRequest) -> HttpResponse:
    """The empty page with a composer; the conversation is made when something is sent."""
    return _chat(request, None, [], has_earlier=False)


@page
def conversation(request: PageRequest, conversation_id: int) -> HttpResponse:
    """A conversation with the newest messages of its active branch."""
    shown = _conversation_or_404(request, conversation_id)
    branch, has_earlier = shown.branch(limit=MESSAGES_A_PAGE)
    return _chat(request, shown, branch, has_earlier=has_earlier)


def _chat(
    request: PageRequest, shown: Conversation | None, branch: list[Message], *, has_earlier: bool
) -> HttpResponse:
    context: dict[str, object] = {
        "conversation": shown,
        "messages": branch,
        "has_earlier": has_earlier,
        "current_id": shown.pk if shown else None,
        "blank_question": blank(Message.Role.USER),
        "blank_reply": blank(Message.Role.ASSISTANT),
        "base": "_boosted.html" if request.htmx.boosted else "base.html",
    }
    if not request.htmx.boosted:
        context["sidebar"] = Sidebar.of(request.user)
    return render(request, "conversations/conversation.html", context)


def blank(role: Message.Role) -> Message:
    """A message that is nobody's, whose markup the page's script copies for each new one."""
    message = Message(role=role)
    message.siblings = []
    return message


# --- Parts of pages


@page
def messages(request: PageRequest, conversation_id: int) -> HttpResponse:
    """The newest messages of the active branch, or with `?before=` those above a message."""
    shown = _conversation_or_404(request, conversation_id)
    before = _number(request, "before")
    branch, has_earlier = shown.branch(limit=MESSAGES_A_PAGE, before=before)
    context = {"conversation": shown, "messages": branch, "has_earlier": has_earlier}
    return render(request, "conversations/_messages.html", context)


@page
def message(request: PageRequest, conversation_id: int, message_id: int) -> HttpResponse:
    """One message as it stands now."""
    found = get_object_or_404(Message.objects.visible_to(request.user), pk=message_id, conversation_id=conversation_id)
    attach_siblings([found])
    return render(request, "conversations/_message.html", {"message": found})


@page
def conversations(request: PageRequest) -> HttpResponse:
    """The sidebar's list from its start, or from where `more` left off."""
    is_archived = request.GET.get("archived") == "true"
    sidebar = Sidebar.of(request.user, is_archived=is_archived, after=Place.read(request.GET.get("after", "")))
    context = {"sidebar": sidebar, "current_id": _number(request, "current")}
    return render(request, "conversations/_conversations.html", context)


def _conversation_or_404(request: PageRequest, conversation_id: int) -> Conversation:
    return get_object_or_404(Conversation.objects.visible_to(request.user), pk=conversation_id)


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return as_id(text) if text else None


def as_id(text: str) -> int:
    """The id that was written as text; anything else finds nothing."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST_ID):
        raise Http404
    return int(text)


# --- The sidebar


class Place(NamedTuple):
    """Where a row stands in the list, by what the list is ordered by: it holds when the row itself moves on."""

    pinned: bool
    updated_at: datetime
    pk: int

    def __str__(self) -> str:
        return f"{self.pinned:d}~{self.updated_at.isoformat()}~{self.pk}"

    @classmethod
    def read(cls, text: str) -> Place | None:
        """The place that was written as text, or None where nothing was; what makes no sense finds nothing."""
        if not text:
            return None
        pinned, _, rest = text.partition("~")
        at, _, pk = rest.partition("~")
        try:
            updated_at = datetime.fromisoformat(at)
        except ValueError:
            raise Http404 from None
        if updated_at.tzinfo is None:
            raise Http404
        return cls(pinned == "1", updated_at, as_id(pk))


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
        mine = Conversation.objects.visible_to(user)
        rows = (mine.archived() if is_archived else mine.active()).by_activity()
        if after is not None:
            rows = rows.after((after.pinned, after.updated_at.isoformat(), after.pk))
        found = list(rows[: CONVERSATIONS_A_PAGE + 1])
        shown = found[:CONVERSATIONS_A_PAGE]
        more = _more(shown[-1], is_archived=is_archived) if len(found) > len(shown) else None
        return cls(shelve(shown, after), is_archived, more)


def _more(last: Conversation, *, is_archived: bool) -> str:
    after = Place(last.pinned, last.updated_at, last.pk)
    return f"{reverse('conversations')}?{urlencode({'after': after, 'archived': str(is_archived).lower()})}"


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
