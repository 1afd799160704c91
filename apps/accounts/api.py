"""`/api/auth`: signing in and out, oneself, one's sessions and tokens."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth import logout
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as InvalidPassword
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import (
    CookieAuthentication,
    Credential,
    confirm_password,
    django_request,
    has_foreign_origin,
    sign_in,
)
from apps.accounts.models import ApiToken, Session, User
from apps.accounts.serializers import (
    LoginSerializer,
    MessageSerializer,
    NewTokenSerializer,
    PasswordSerializer,
    SessionSerializer,
    TokenSerializer,
    UserSerializer,
)
from apps.core.rest import StrictJSONParser


class _OpenView(APIView):
    """A view for those who are not signed in (yet): it needs no CSRF token, but no other site may call it.

    It takes only JSON, which no other site's form can send.
    """

    parser_classes = (StrictJSONParser,)
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what a page of another site sends."""
        super().initial(request, *args, **kwargs)
        if has_foreign_origin(django_request(request)):
            raise PermissionDenied("This request comes from another site.")


class LoginView(_OpenView):
    """Sign in with e-mail and password."""

    @extend_schema(request=LoginSerializer, responses=MessageSerializer, operation_id="login")
    def post(self, request: Request) -> Response:
        """Sets the cookies `session_token` and `csrftoken`."""
        credentials = LoginSerializer(data=request.data)
        credentials.is_valid(raise_exception=True)
        if sign_in(django_request(request), **credentials.validated_data) is None:
            raise AuthenticationFailed("Invalid credentials")
        return Response({"message": "Login successful"})

    def get_authenticate_header(self, request: Request) -> str:
        """What a 401 asks for, though this view itself authenticates nobody."""
        return CookieAuthentication().authenticate_header(request)


class LogoutView(_OpenView):
    """Sign out."""

    @extend_schema(request=None, responses=MessageSerializer, operation_id="logout")
    def post(self, request: Request) -> Response:
        """Ends the cookie's session, if there is one, and deletes the cookie."""
        logout(django_request(request))
        return Response({"message": "Logout successful"})


class MeView(APIView):
    """Oneself."""

    @extend_schema(responses=UserSerializer, operation_id="me")
    def get(self, request: Request) -> Response:
        """Who is signed in."""
        return Response(UserSerializer(_credential(request).user).data)


class PasswordView(APIView):
    """Change one's password."""

    @extend_schema(request=PasswordSerializer, responses=MessageSerializer, operation_id="change_password")
    def post(self, request: Request) -> Response:
        """Ends every other session, and every API token, of the user."""
        credential = _credential(request)
        passwords = PasswordSerializer(data=request.data)
        passwords.is_valid(raise_exception=True)
        confirm_password(django_request(request), credential.user, passwords.validated_data["current_password"])
        new = passwords.validated_data["new_password"]
        _check_strength(new, credential.user)
        credential.user.change_password(new, keep_session=credential.session_id)
        return Response({"message": "Password changed"})


class SessionsView(generics.ListAPIView[Session]):
    """Where one is signed in."""

    serializer_class = SessionSerializer

    def get_queryset(self) -> QuerySet[Session]:
        """One's own, the last used first."""
        return Session.objects.visible_to(_credential(self.request).user).live()


class SessionView(generics.DestroyAPIView[Session]):
    """Sign one browser out."""

    serializer_class = SessionSerializer

    def get_queryset(self) -> QuerySet[Session]:
        """One's own."""
        return Session.objects.visible_to(_credential(self.request).user)


class TokensView(generics.ListCreateAPIView[ApiToken]):
    """One's API tokens."""

    serializer_class = TokenSerializer

    def get_queryset(self) -> QuerySet[ApiToken]:
        """One's own, the newest first."""
        return ApiToken.objects.visible_to(_credential(self.request).user)

    @extend_schema(responses={201: NewTokenSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A new token; the answer is the one time it is shown."""
        wanted = self.get_serializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        row, plaintext = ApiToken.objects.issue(_credential(request).user, **wanted.validated_data)
        made = {"id": row.pk, "name": row.name, "token": plaintext, "expires_at": row.expires_at}
        return Response(NewTokenSerializer(made).data, status=status.HTTP_201_CREATED)


class TokenView(generics.DestroyAPIView[ApiToken]):
    """Delete one API token."""

    serializer_class = TokenSerializer

    def get_queryset(self) -> QuerySet[ApiToken]:
        """One's own."""
        return ApiToken.objects.visible_to(_credential(self.request).user)


def _credential(request: Request) -> Credential:
    return cast("Credential", request.auth)


def _check_strength(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except InvalidPassword as error:
        raise ValidationError({"new_password": error.messages}) from error
