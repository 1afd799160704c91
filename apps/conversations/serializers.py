"""Commands as they come in, by HTTP or socket; what goes out is in `engine.events`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from apps.conversations.models import Conversation
from apps.core.errors import InvalidInput
from apps.core.rest import StrictBooleanField, StrictCharField, StrictIntegerField

CLIENT_ID_LENGTH = 64


def validated(command: type[serializers.Serializer[Any]], data: Mapping[str, Any]) -> dict[str, Any]:
    """The command's fields from a socket's frame; raises `InvalidInput` with `errors` by field."""
    serializer = command(data=dict(data))
    if not serializer.is_valid():
        errors = {field: [str(message) for message in messages] for field, messages in serializer.errors.items()}
        field, messages = next(iter(errors.items()))
        raise InvalidInput(f"{field}: {messages[0]}", errors)
    return dict(serializer.validated_data)


class ContentField(StrictCharField):
    """What somebody says: kept byte for byte. Its size is judged by the engine."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)


class ModelField(StrictCharField):
    """A model's name, passed on unchecked; empty or null for whichever is active."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=200, required=False, allow_blank=True, allow_null=True, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Null is the same as empty."""
        return super().run_validation(data) or ""


class ClientIdField(StrictCharField):
    """The sender's own id for this message, which makes sending it again harmless."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=CLIENT_ID_LENGTH,
            required=False,
            allow_blank=True,
            allow_null=True,
            trim_whitespace=False,
            **kwargs,
        )


class SendMessage(serializers.Serializer[Any]):
    """Ask."""

    content = ContentField()
    model = ModelField()
    client_id = ClientIdField()


class RegenerateOptions(serializers.Serializer[Any]):
    """Answer again, perhaps by another model."""

    model = ModelField()
    client_id = ClientIdField()


class EditContent(serializers.Serializer[Any]):
    """Ask differently."""

    content = ContentField()
    client_id = ClientIdField()


class RegenerateMessage(RegenerateOptions):
    """The socket's command to answer again."""

    message_id = StrictIntegerField()


class EditMessage(EditContent):
    """The socket's command to ask differently."""

    message_id = StrictIntegerField()


class MoveHead(serializers.Serializer[Any]):
    """Which message's branch to read."""

    message_id = StrictIntegerField()


class ChangeConversation(serializers.ModelSerializer[Conversation]):
    """What a person may set on a conversation."""

    title = StrictCharField(max_length=200, required=False)
    pinned = StrictBooleanField(required=False)
    archived = StrictBooleanField(required=False)
    model = ModelField()
    memory = StrictBooleanField(required=False)
    persona_id = StrictIntegerField(required=False, allow_null=True)

    class Meta:
        model = Conversation
        fields = ["title", "pinned", "archived", "model", "memory", "persona_id"]

    def validate_persona_id(self, value: int | None) -> None:
        """There are no personas to choose from."""
        if value is not None:
            raise serializers.ValidationError("There is no such persona.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The fields that are stored."""
        attrs.pop("persona_id", None)
        return attrs


class CreateConversation(ChangeConversation):
    """What a new conversation may begin with."""

    temporary = StrictBooleanField(required=False)

    class Meta(ChangeConversation.Meta):
        fields = ["title", "model", "memory", "temporary", "persona_id"]
