"""Who may open which page of the studio, decided in one place for every page, file and form.

What one may not read is not found by who is signed in, and leads who is not to the sign-in page, whether it exists or
not. What one may read and not write is forbidden. Behind the door the reader's own time zone is the current one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from apps.accounts.models import User
from apps.core.errors import NotFound
from apps.core.pages import reader_time_zone
from apps.musehub.models import Repo


class PageRequest(HttpRequest):
    """A request with what the middleware adds."""

    htmx: HtmxDetails


View = Callable[..., HttpResponse]
May = Callable[[Repo, User | None], bool]


def door(may: May, *methods: str) -> Callable[[View], View]:
    """A view that is called with the repo of the address, for whoever may read it and is let through by `may`."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: PageRequest, owner: str, slug: str, **place: object) -> HttpResponse:
            if request.method not in methods:
                return redirect(_page_around(owner, slug, place.get("session_id")))
            person = person_of(request)
            found = Repo.objects.opened_at(person, owner, slug)
            if found is None or not may(found, person):
                return _refuse(request, person, found)
            try:
                with timezone.override(reader_time_zone(request)):
                    return view(request, found, **place)
            except NotFound:  # gone since it was read
                raise Http404 from None

        return require_http_methods({*methods, "GET", "HEAD"})(never_cache(guarded))

    return guard


def _page_around(owner: str, slug: str, session_id: object) -> str:
    """Where a form stands that is only sent to. A page that answers a refused form has the form's address, and may be
    loaded again, by a person or to follow along."""
    if session_id is not None:
        return reverse("studio-session", args=[owner, slug, session_id])
    return reverse("studio-repo", args=[owner, slug])


def _anyone(repo: Repo, person: User | None) -> bool:
    return True


def is_signed_in(repo: Repo, person: User | None) -> bool:
    """Whoever may read, and is somebody."""
    return person is not None


def is_owner(repo: Repo, person: User | None) -> bool:
    """Whether the repo is theirs."""
    return person is not None and repo.owner_id == person.pk


readers = door(_anyone, "GET", "HEAD")
writers = door(Repo.may_write, "POST")
owners = door(is_owner, "POST")


def _refuse(request: PageRequest, person: User | None, found: Repo | None) -> HttpResponse:
    if person is None:
        return sign_in(request)
    if found is None:
        raise Http404
    raise PermissionDenied


def sign_in(request: PageRequest) -> HttpResponse:
    """To the sign-in page, and back from there."""
    if request.htmx:
        shown = request.htmx.current_url_abs_path or reverse("studio")
        return HttpResponseClientRedirect(redirect_to_login(shown)["Location"])
    return redirect_to_login(request.get_full_path() if request.method == "GET" else reverse("studio"))


def person_of(request: HttpRequest) -> User | None:
    """Who asks; None is somebody who is not signed in."""
    return request.user if request.user.is_authenticated else None


def user_of(request: HttpRequest) -> User:
    """Who asks, behind a door that lets in nobody else."""
    return cast("User", request.user)
