"""Pages: signing in and out, the first account, and one's settings. All of them work without JavaScript."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.authentication import confirm_password, open_session, sign_in
from apps.accounts.errors import AlreadySetUp, SignedOut, TooManyAttempts, WrongPassword
from apps.accounts.forms import LoginForm, PasswordForm, ProfileForm, SetupForm, TokenForm
from apps.accounts.models import ApiToken, Session, User
from apps.accounts.sessions import SessionStore

_LOGIN = "accounts/login.html"
_SETUP = "accounts/setup.html"


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def login_page(request: HttpRequest) -> HttpResponse:
    """Sign in, then go where one wanted to go."""
    if not User.objects.exists():
        return redirect("setup")
    if request.user.is_authenticated:
        return HttpResponseRedirect(_next(request))
    form = LoginForm(request.POST if request.method == "POST" else None)
    return _sign_in(request, form) if form.is_valid() else _form_page(request, _LOGIN, form)


def _sign_in(request: HttpRequest, form: LoginForm) -> HttpResponse:
    try:
        user = sign_in(request, **form.cleaned_data)
    except TooManyAttempts as refusal:
        form.add_error(None, refusal.detail)
        return _limited(_form_page(request, _LOGIN, form), refusal)
    if user is None:
        form.add_error(None, "This e-mail address and password do not belong together.")
        return _form_page(request, _LOGIN, form)
    return HttpResponseRedirect(_next(request))


@require_POST
def logout_page(request: HttpRequest) -> HttpResponse:
    """Sign out."""
    logout(request)
    return redirect("login")


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def setup_page(request: HttpRequest) -> HttpResponse:
    """Make the first account; once there is one, this page is gone."""
    if User.objects.exists():
        return redirect("login")
    form = SetupForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _form_page(request, _SETUP, form)
    try:
        open_session(request, User.objects.create_first(**form.cleaned_data))
    except (AlreadySetUp, SignedOut):
        return redirect("login")
    return redirect(settings.LOGIN_REDIRECT_URL)


@never_cache
@login_required
@require_safe
def settings_page(request: HttpRequest) -> HttpResponse:
    """One's name, password, sessions and tokens."""
    return _settings(request)


@login_required
@require_POST
def rename(request: HttpRequest) -> HttpResponse:
    """Be called something else."""
    form = ProfileForm(request.POST)
    if not form.is_valid():
        return _settings(request, status=422, profile_form=form)
    _user(request).rename(form.cleaned_data["display_name"])
    return _done(request, "Your name is changed.")


@sensitive_post_parameters()
@login_required
@require_POST
def change_password(request: HttpRequest) -> HttpResponse:
    """Another password; everything else of this user's is signed out."""
    user = _user(request)
    form = PasswordForm(user, request.POST)
    if not form.is_valid():
        return _settings(request, status=422, password_form=form)
    try:
        confirm_password(request, user, form.cleaned_data["current_password"])
    except (WrongPassword, TooManyAttempts) as refusal:
        form.add_error("current_password", refusal.detail)
        return _limited(_settings(request, status=422, password_form=form), refusal)
    user.change_password(form.cleaned_data["new_password"], keep_session=_session_id(request))
    return _done(request, "Your password is changed. Everything else was signed out, and API tokens are deleted.")


@login_required
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign one browser out."""
    get_object_or_404(Session.objects.visible_to(_user(request)), pk=pk).delete()
    return _done(request, "That browser is signed out.")


@login_required
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    Session.objects.visible_to(_user(request)).other_than(_session_id(request)).delete()
    return _done(request, "You are signed out everywhere else.")


@never_cache
@login_required
@require_POST
def make_token(request: HttpRequest) -> HttpResponse:
    """A new API token, shown on the page that answers and never again."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _settings(request, status=422, token_form=form)
    try:
        _, plaintext = ApiToken.objects.issue(_user(request), form.cleaned_data["name"], form.expires_at())
    except SignedOut:
        return redirect("login")
    return _settings(request, status=201, new_token=plaintext)


@login_required
@require_POST
def delete_token(request: HttpRequest, pk: int) -> HttpResponse:
    """End one API token."""
    get_object_or_404(ApiToken.objects.visible_to(_user(request)), pk=pk).delete()
    return _done(request, "That token is deleted.")


def _settings(request: HttpRequest, status: int = 200, **shown: object) -> HttpResponse:
    """The settings page; `shown` replaces what it shows of itself, such as a form with errors."""
    user = _user(request)
    context: dict[str, object] = {
        "profile_form": ProfileForm(initial={"display_name": user.display_name}),
        "password_form": PasswordForm(user),
        "token_form": TokenForm(),
        "sessions": Session.objects.visible_to(user).live(),
        "current_session": _session_id(request),
        "tokens": ApiToken.objects.visible_to(user),
    }
    return render(request, "accounts/settings.html", context | shown, status=status)


def _done(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.success(request, sentence)
    return redirect("settings")


def _form_page(request: HttpRequest, template: str, form: Form) -> HttpResponse:
    return render(request, template, {"form": form}, status=422 if form.errors else 200)


def _limited(response: HttpResponse, refusal: WrongPassword | TooManyAttempts) -> HttpResponse:
    if isinstance(refusal, TooManyAttempts):
        response.status_code = refusal.status
        response.headers["Retry-After"] = refusal.headers["Retry-After"]
    return response


def _next(request: HttpRequest) -> str:
    """Where `?next=` leads, if that is a page of ours."""
    wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
    ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    if ours and urlsplit(wanted).path.startswith("/settings/"):
        return resolve_url("settings")  # what a form was sent to; those take no GET
    return wanted if ours else settings.LOGIN_REDIRECT_URL


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


def _session_id(request: HttpRequest) -> int | None:
    row = cast("SessionStore", request.session).row
    return row.pk if row is not None else None
