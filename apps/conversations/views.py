"""The chat's pages: a new chat, one conversation, and the parts that the page fetches while it is open.

A link followed within the page asks for `<main>` alone (htmx says so in a header), so that the sidebar stays as it is.
Everything here is private: it is never stored by a cache, and what is somebody else's is a 404.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from apps.accounts.models import User
from apps.conversations import search as searching
from apps.conversations.excerpt import Excerpt, messages_below
from apps.conversations.models import Conversation, Message, attach_siblings
from apps.conversations.sidebar import Sidebar, read_place
from apps.conversations.sources import Sources
from apps.core.pages import as_id, reader_time_zone

MESSAGES_A_PAGE = 40
# A page that opens at a message further up than this shows the messages around it instead of all those below.
FARTHEST_BELOW = 200
ABOVE_TARGET = 5
RESULTS_A_PAGE = 50
# The controls of the search page, each by the name of the filter that it stands for.
CONTROLS = ("in", "from", "after", "before", "pinned", "archived")


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
        with timezone.override(reader_time_zone(request)):
            return view(known, *args, **kwargs)

    return require_safe(never_cache(guarded))


def _sign_in(request: PageRequest) -> HttpResponse:
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    shown = request.htmx.current_url_abs_path or "/"
    return HttpResponseClientRedirect(redirect_to_login(shown)["Location"])


# --- Pages


@page
def new_chat(request: PageRequest) -> HttpResponse:
    """The empty page with a composer; the conversation is made when something is sent, temporary if so asked."""
    return _chat(request, None, [], has_earlier=False)


@page
def conversation(request: PageRequest, conversation_id: int) -> HttpResponse:
    """A conversation with the newest messages of its active branch; with `?at=`, as many as it takes to reach that
    message, or where that is too far or another branch, the messages around it."""
    shown = _conversation_or_404(request, conversation_id)
    limit, at = MESSAGES_A_PAGE, _number(request, "at")
    if at is not None and (target := shown.messages.filter(pk=at).first()):
        below = messages_below(shown, target)
        if below is None or below > FARTHEST_BELOW:
            return _excerpt(request, Excerpt.around(shown, target))
        limit = max(limit, below + 1 + ABOVE_TARGET)
    branch, has_earlier = shown.branch(limit=limit)
    return _chat(request, shown, branch, has_earlier=has_earlier)


def _excerpt(request: PageRequest, excerpt: Excerpt) -> HttpResponse:
    conversation = excerpt.message.conversation
    context = {
        "conversation": conversation,
        "excerpt": excerpt,
        "current_id": conversation.pk,
        "sidebar": Sidebar.of(request.user),
    }
    return render(request, "conversations/excerpt.html", context)


@page
def search(request: PageRequest) -> HttpResponse:
    """What was said, found again. While somebody types, the results alone are asked for."""
    query = searching.Query.read(_search_text(request.GET))
    results = searching.search(request.user, query, limit=RESULTS_A_PAGE)
    context: dict[str, object] = {"query": query, "results": results, "is_full": len(results) == RESULTS_A_PAGE}
    if request.htmx.target == "found":
        return render(request, "conversations/_found.html", context)
    context["is_controlled"] = any(request.GET.get(name) for name in CONTROLS)
    context["sidebar"] = Sidebar.of(request.user)
    return render(request, "conversations/search.html", context)


def _search_text(asked: QueryDict) -> str:
    """What was typed, and the controls as the filters that they stand for; a typed one outdoes its control."""
    chosen = [f"{name}:{value}" for name in CONTROLS if (value := asked.get(name))]
    return " ".join([*chosen, asked.get("q", "")])


def _chat(
    request: PageRequest, shown: Conversation | None, branch: list[Message], *, has_earlier: bool
) -> HttpResponse:
    context: dict[str, object] = {
        "conversation": shown,
        "messages": branch,
        "has_earlier": has_earlier,
        "current_id": shown.pk if shown else None,
        "is_temporary": shown.temporary if shown else "temporary" in request.GET,
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
def sources(request: PageRequest, conversation_id: int, message_id: int) -> HttpResponse:
    """The memories that a reply was told of."""
    reply = get_object_or_404(Message.objects.visible_to(request.user), pk=message_id, conversation_id=conversation_id)
    return render(request, "conversations/_sources.html", {"sources": Sources.of(request.user, reply)})


@page
def conversations(request: PageRequest) -> HttpResponse:
    """The sidebar's list from its start, or from where `more` left off."""
    is_archived = request.GET.get("archived") == "true"
    sidebar = Sidebar.of(request.user, is_archived=is_archived, after=read_place(request.GET.get("after", "")))
    context = {"sidebar": sidebar, "current_id": _number(request, "current")}
    return render(request, "conversations/_conversations.html", context)


def _conversation_or_404(request: PageRequest, conversation_id: int) -> Conversation:
    return get_object_or_404(Conversation.objects.visible_to(request.user), pk=conversation_id)


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return as_id(text) if text else None
