"""Commands as they come in, in camelCase; what goes out is in `events`. Fields become the model's names on the way."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from rest_framework import serializers

from apps.core.rest import StrictBooleanField, StrictCharField, StrictChoiceField
from apps.musehub.models import CLIENT_ID_LENGTH, LOCATION_LENGTH, NAME_LENGTH, NOTES_LENGTH, Repo

INTENT_LENGTH = 10_000
DESCRIPTION_LENGTH = 5_000
PARTICIPANTS, PARTICIPANT_LENGTH = 200, 200
COMMITS, COMMIT_LENGTH = 10_000, 100
TAGS, TAG_LENGTH = 50, 50
YEARS = range(1970, 2101)


class MomentField(serializers.DateTimeField):
    """A time in ISO 8601 with whatever offset, UTC where it has none; becomes the same moment in UTC."""

    default_error_messages = {"year": f"The year must be from {YEARS[0]} to {YEARS[-1]}."}

    def to_internal_value(self, value: Any) -> datetime:
        """The moment; raises ValidationError, also for a number."""
        # Python's own reader of ISO 8601 would stop at a NUL and be content.
        if not (isinstance(value, str) and value.isprintable()):
            self.fail("invalid", format="ISO 8601")
        moment: datetime = super().to_internal_value(value)
        if moment.year not in YEARS:
            self.fail("year")
        return moment


class TextsField(serializers.ListField):
    """A list of so many short texts; its length is looked at before its members are."""

    def __init__(self, *, members: int, length: int, **kwargs: Any) -> None:
        child = StrictCharField(max_length=length)
        super().__init__(child=child, max_length=members, required=False, **kwargs)
        self._members = members

    def to_internal_value(self, data: Any) -> list[str]:
        """The texts in order; raises ValidationError."""
        if isinstance(data, list) and len(data) > self._members:
            raise serializers.ValidationError(f"There can be at most {self._members:,} of these.")
        texts: list[str] = super().to_internal_value(data)
        return texts


class WordsField(StrictCharField):
    """Text that may be left out or empty, kept as it was written."""

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, required=False, allow_blank=True, trim_whitespace=False, **kwargs)


class ChangeRepo(serializers.Serializer[Repo]):
    """What its owner may set on a repo."""

    name = StrictCharField(max_length=NAME_LENGTH)
    visibility = StrictChoiceField(choices=Repo.Visibility.choices)
    description = WordsField(max_length=DESCRIPTION_LENGTH)
    tags = TextsField(members=TAGS, length=TAG_LENGTH)


class CreateRepo(ChangeRepo):
    """A new repo."""


class ChangeSession(serializers.Serializer[Any]):
    """What may be set on a session that is there; `endedAt` only on one that is over."""

    participants = TextsField(members=PARTICIPANTS, length=PARTICIPANT_LENGTH)
    intent = WordsField(max_length=INTENT_LENGTH)
    location = WordsField(max_length=LOCATION_LENGTH)
    notes = WordsField(max_length=NOTES_LENGTH)
    commits = TextsField(members=COMMITS, length=COMMIT_LENGTH)
    endedAt = MomentField(source="ended_at", required=False)


class CreateSession(ChangeSession):
    """A session that begins, or one that is already over: with its end, or with `isActive` false."""

    startedAt = MomentField(source="started_at", required=False, allow_null=True)
    endedAt = MomentField(source="ended_at", required=False, allow_null=True)
    isActive = StrictBooleanField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """As `recorder.start` takes it."""
        attrs["is_over"] = not attrs.pop("isActive", True)
        return attrs


class StopSession(serializers.Serializer[Any]):
    """When it ended, if not now."""

    endedAt = MomentField(source="ended_at", required=False, allow_null=True)


class AppendNote(serializers.Serializer[Any]):
    """A note; with a `clientId` it may be sent again."""

    text = StrictCharField(max_length=NOTES_LENGTH)
    clientId = StrictCharField(
        source="client_id", max_length=CLIENT_ID_LENGTH, required=False, allow_blank=True, allow_null=True
    )


class UntilField(MomentField):
    """A moment that ends a span; a mere day is meant whole."""

    def to_internal_value(self, value: Any) -> datetime:
        """The moment, of a day the one after its last."""
        moment = super().to_internal_value(value)
        return moment + timedelta(days=1) if _DAY.fullmatch(value) else moment


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class RepoFilters(serializers.Serializer[Any]):
    """Which repos to list: one's own, with `visibility=public` everyone's, with an owner and a slug that one."""

    visibility = StrictChoiceField(choices=Repo.Visibility.choices, required=False, allow_blank=True)
    owner = StrictCharField(required=False, help_text="a username; together with `slug`")
    slug = StrictCharField(required=False, help_text="as in the repo's address; together with `owner`")

    def validate(self, attrs: dict[str, str]) -> dict[str, str]:
        """An owner or a slug alone names nothing."""
        if ("owner" in attrs) != ("slug" in attrs):
            raise serializers.ValidationError("An owner and a slug name a repo together.")
        return attrs


class SessionFilters(serializers.Serializer[Any]):
    """Which sessions to list; what is left out or empty does not narrow."""

    live = StrictChoiceField(choices=["true", "false"], required=False, help_text="running, or over")
    participant = StrictCharField(required=False, max_length=PARTICIPANT_LENGTH, help_text="a name, exactly")
    location = StrictCharField(required=False, max_length=LOCATION_LENGTH, help_text="in whatever case")
    q = StrictCharField(required=False, max_length=200, help_text="text in intent, notes, place or participants")
    since = MomentField(required=False, help_text="begun then or later")
    until = UntilField(required=False, help_text="begun before then; a day is meant whole")
