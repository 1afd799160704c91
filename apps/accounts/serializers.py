"""Accounts on the wire: no serializer here knows a hash."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from rest_framework import serializers

from apps.accounts.models import ApiToken, Session, User
from apps.core.rest import StrictCharField

PASSWORD_MAX = 4096


class LoginSerializer(serializers.Serializer[User]):
    """What somebody signs in with."""

    email = StrictCharField(max_length=254)
    password = StrictCharField(max_length=PASSWORD_MAX, trim_whitespace=False)


class PasswordSerializer(serializers.Serializer[User]):
    """The password that is and the one that shall be."""

    current_password = StrictCharField(max_length=PASSWORD_MAX, trim_whitespace=False)
    new_password = StrictCharField(max_length=PASSWORD_MAX, trim_whitespace=False)


class MessageSerializer(serializers.Serializer[dict[str, str]]):
    """A sentence for the reader."""

    message = serializers.CharField()


class UserSerializer(serializers.ModelSerializer[User]):
    """A user, to themselves."""

    class Meta:
        model = User
        fields = ["id", "email", "username", "display_name", "role"]


class SessionSerializer(serializers.ModelSerializer[Session]):
    """A browser in which one is signed in; `current` is the one that asks."""

    current = serializers.SerializerMethodField()

    class Meta:
        model = Session
        fields = ["id", "created_at", "last_seen_at", "address", "user_agent", "current"]

    def get_current(self, session: Session) -> bool:
        """Whether the request came by this session."""
        return bool(session.pk == self.context["request"].auth.session_id)


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """An API token, without itself."""

    name = StrictCharField(max_length=100)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)

    class Meta:
        model = ApiToken
        fields = ["id", "name", "created_at", "expires_at", "last_used_at"]
        read_only_fields = ["created_at", "last_used_at"]

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        """In the future, or never."""
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("That time is past.")
        return value


class NewTokenSerializer(serializers.Serializer[dict[str, object]]):
    """A token just made: the one time it is shown."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    token = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
