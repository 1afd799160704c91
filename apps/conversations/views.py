"""The chat's pages: a new chat, one conversation, and the parts that the page fetches while it is open.

A link followed within the page asks for `<main>` alone (htmx says so in a header), so that the sidebar stays as it is.
Everything here is private: it is never stored by a cache, and what is somebody else's is a 404.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from apps.accounts.models import User
from apps.conversations.models import Conversation, Message, attach_siblings
from apps.conversations.sidebar import Sidebar, read_place
from apps.core.pages import as_id, reader_time_zone

MESSAGES_A_PAGE = 40


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
    sidebar = Sidebar.of(request.user, is_archived=is_archived, after=read_place(request.GET.get("after", "")))
    context = {"sidebar": sidebar, "current_id": _number(request, "current")}
    return render(request, "conversations/_conversations.html", context)


def _conversation_or_404(request: PageRequest, conversation_id: int) -> Conversation:
    return get_object_or_404(Conversation.objects.visible_to(request.user), pk=conversation_id)


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return as_id(text) if text else None
