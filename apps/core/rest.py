"""What every API route shares: a strict JSON parser and fields that do not convert types.

A number where text is meant is a mistake of the sender's and is said so; DRF alone would store "5" for 5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework import serializers
from rest_framework.parsers import BaseParser

from apps.core.errors import MalformedBody, TooLarge


class StrictJSONParser(BaseParser):
    """JSON in UTF-8, whatever charset the header claims; anything else is 422, also when it is too deep to read."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The parsed value; raises `MalformedBody` or `TooLarge`."""
        raw = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(raw) > settings.MAX_BODY_BYTES:
            raise TooLarge
        try:
            return json.loads(raw.decode(), parse_constant=_refuse_constant)
        except RecursionError:
            detail = "The body is nested too deeply."
            raise MalformedBody(detail) from None
        except ValueError as error:
            raise MalformedBody from error


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


class StrictCharField(serializers.CharField):
    """Text, and nothing that merely could become text. NUL and lone surrogates are refused (by DRF's validators)."""

    def to_internal_value(self, data: Any) -> str:
        """The text; raises ValidationError for any other type."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictChoiceField(serializers.ChoiceField):
    """One of some texts; what is none of them is refused without being repeated, since it may be no text at all."""

    default_error_messages = {"invalid_choice": "This is none of the choices."}


class StrictBooleanField(serializers.BooleanField):
    """`true` or `false`."""

    # An absent field of a form is absent, and not False.
    default_empty_html = serializers.empty

    def to_internal_value(self, data: Any) -> bool:
        """The truth value; raises ValidationError for any other type."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictIntegerField(serializers.IntegerField):
    """A whole number that a database's 64-bit column can hold."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("min_value", -(2**63))
        kwargs.setdefault("max_value", 2**63 - 1)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        """The number; raises ValidationError for any other type, `true` and 1.0 included."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


def query_integer(value: str | None, *, name: str, default: int, low: int, high: int) -> int:
    """A whole number from a query string within [low, high]; raises ValidationError outside it."""
    if value is None or value == "":
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 19 and low <= int(value) <= high):
        raise serializers.ValidationError({name: [f"A whole number from {low} to {high}."]})
    return int(value)
