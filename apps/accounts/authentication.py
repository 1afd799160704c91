"""Doors: a password opens a session; a session's cookie or an API token opens requests and sockets.

A request with an Authorization header is judged by it alone; the cookie is then not even read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, authenticate, login
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import HttpRequest, parse_cookie
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.accounts.errors import SignedOut, WrongPassword
from apps.accounts.models import ApiToken, LoginAttempt, User
from apps.accounts.sessions import SessionStore
from apps.core.requests import client_address, socket_origin_allowed


@dataclass(frozen=True)
class Credential:
    """Who asks, and by which session or token."""

    user: User
    session_id: int | None = None
    token_id: int | None = None


class SessionUser(AuthenticationMiddleware):
    """Django's middleware, with `request.user` from the session's row: it was read together with it."""

    def process_request(self, request: HttpRequest) -> None:
        """Ask when somebody asks."""
        super().process_request(request)
        request.user = SimpleLazyObject(partial(_user_of, request.session))  # type: ignore[assignment,arg-type]


def _user_of(session: SessionStore) -> User | AnonymousUser:
    """Whose session it is; one of another password than theirs is over."""
    credential = _from_session(session)
    if credential is None:
        return AnonymousUser()
    if not constant_time_compare(session.get(HASH_SESSION_KEY, ""), credential.user.get_session_auth_hash()):
        session.flush()
        return AnonymousUser()
    return credential.user


class EmailBackend(ModelBackend):
    """Django's way to a user by e-mail and password."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """The user, or None."""
        email = kwargs.get("email", username)
        if email is None or password is None:
            return None
        return User.objects.authenticate(email, password)

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """The same from a coroutine."""
        return await sync_to_async(self.authenticate)(request, username, password, **kwargs)


def sign_in(request: HttpRequest, email: str, password: str) -> User | None:
    """Open a session for whoever knows the password, None otherwise; raises `TooManyAttempts`."""
    attempts = LoginAttempt.objects.reserve(email, address_of(request))
    user = authenticate(request, email=email, password=password)
    if not isinstance(user, User):
        return None
    attempts.succeed()
    try:
        open_session(request, user)
    except SignedOut:
        return None
    return user


def confirm_password(request: HttpRequest, user: User, password: str) -> None:
    """Let somebody signed in prove who they are; raises `WrongPassword` and, like signing in, `TooManyAttempts`."""
    attempts = LoginAttempt.objects.reserve(user.email, address_of(request))
    if not user.check_password(password):
        raise WrongPassword
    attempts.succeed()


def open_session(request: HttpRequest, user: User) -> None:
    """Sign the browser in, under a new token and for its full time, whoever was signed in there; raises `SignedOut`."""
    session: SessionStore = request.session  # type: ignore[assignment]
    with transaction.atomic():
        user.stand()
        session.flush()
        session.describe(address=address_of(request), user_agent=request.headers.get("User-Agent", ""))
        login(request, user)
        session.save()


def address_of(request: HttpRequest) -> str:
    """Where the request came from."""
    return client_address(_headers(request), request.META.get("REMOTE_ADDR"))


def has_foreign_origin(request: HttpRequest) -> bool:
    """Whether a browser says that another site's page made this request."""
    headers = _headers(request)
    return "origin" in headers and not socket_origin_allowed(headers, request.scheme or "http")


def django_request(request: Request) -> HttpRequest:
    """The request that DRF wraps, whose user is the session's alone."""
    return request._request  # noqa: SLF001 -- DRF has no other way to it


def _headers(request: HttpRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()} | {"host": request.get_host()}


def credential_from_headers(headers: Mapping[str, str]) -> Credential | None:
    """Who a handshake's headers (names in lower case) speak for. Asks the database; call it from a thread."""
    authorization = headers.get("authorization")
    if authorization is not None:
        return _from_authorization(authorization)
    token = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
    return _from_session(SessionStore(token)) if token else None


def _from_authorization(header: str) -> Credential | None:
    scheme, _, plaintext = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = ApiToken.objects.opened_by(plaintext.strip())
    if token is None or not token.user.is_active:
        return None
    token.touch()
    return Credential(token.user, token_id=token.pk)


def _from_session(session: SessionStore) -> Credential | None:
    if SESSION_KEY not in session or session.row is None or not session.row.user.is_active:
        return None
    return Credential(session.row.user, session_id=session.row.pk)


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`; any other Authorization is refused, never passed over for the cookie."""

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        """The token's user; raises AuthenticationFailed; None without the header."""
        header = request.headers.get("Authorization")
        if header is None:
            return None
        credential = _from_authorization(header)
        if credential is None:
            raise AuthenticationFailed("This token is not valid, or no longer.")
        return credential.user, credential

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return 'Bearer realm="api"'


class CookieAuthentication(SessionAuthentication):
    """The browser's session; an unsafe request needs its CSRF token and an Origin of ours.

    Asked after `BearerAuthentication`, which lets nothing with an Authorization header through to here.
    """

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        """The session's user; raises PermissionDenied; None when nobody is signed in."""
        user = django_request(request).user
        session: SessionStore = django_request(request).session  # type: ignore[assignment]
        if not isinstance(user, User) or session.row is None:
            return None
        self.enforce_csrf(request)
        # The row's own user, without the wrapper that fetched it.
        return session.row.user, Credential(session.row.user, session_id=session.row.pk)

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return 'Cookie realm="api"'
