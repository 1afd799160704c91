"""The strict JSON parser, fields that convert nothing, and whole numbers in a query."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rest_framework import serializers

from apps.core.errors import MalformedBody, TooLarge
from apps.core.rest import (
    StrictBooleanField,
    StrictCharField,
    StrictIntegerField,
    StrictJSONParser,
    query_integer,
)


def parsed(raw: bytes) -> Any:
    return StrictJSONParser().parse(io.BytesIO(raw))


def test_json_in_utf_8_is_read() -> None:
    assert parsed('{"é": [1, -2.5, true, null, "\\ud83d\\udc69", "漢"]}'.encode()) == {
        "é": [1, -2.5, True, None, "👩", "漢"]
    }


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b" ", b"{", b"{}{}", b"{'a': 1}", b'{"a": 1,}', b"NaN", b"[Infinity]", b"[-Infinity]", b"\xff"),
        *("é".encode("latin-1"), '"x"'.encode("utf-16"), b"[" * 100_000, b"9" * 5000, b'"\x01"'),
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_anything_else_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedBody):
        parsed(raw)


def test_a_body_of_exactly_the_limit_is_read_and_a_byte_more_is_too_large(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 10
    assert parsed(b'"12345678"') == "12345678"
    with pytest.raises(TooLarge):
        parsed(b'"123456789"')


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        (StrictCharField(), ["x", "5", "true", "漢"], [5, 1.5, True, None, [], {}, b"x", "", " ", "\0", "\ud800"]),
        (StrictCharField(trim_whitespace=False), [" ", "\n"], [""]),
        (StrictBooleanField(), [True, False], [0, 1, "true", "", None, [], {}]),
        (
            StrictIntegerField(),
            [0, -(2**63), 2**63 - 1],
            ["1", 1.0, True, None, [], {}, 2**63, -(2**63) - 1, 10**400],
        ),
        (StrictIntegerField(min_value=1), [1], [0]),
    ],
)
def test_a_field_takes_its_own_type_as_it_is_and_no_other(
    field: serializers.Field[Any, Any, Any, Any], taken: list[Any], refused: list[Any]
) -> None:
    for value in taken:
        result = field.run_validation(value)
        assert (result, type(result)) == (value, type(value))
    for value in refused:
        with pytest.raises(serializers.ValidationError):
            field.run_validation(value)


@pytest.mark.parametrize(("value", "number"), [(None, 7), ("", 7), ("1", 1), ("200", 200), ("007", 7)])
def test_a_query_holds_a_whole_number_or_the_default(value: str | None, number: int) -> None:
    assert query_integer(value, name="limit", default=7, low=1, high=200) == number


@pytest.mark.parametrize("value", ["0", "201", "-1", "+1", " 1", "1.0", "1e1", "٣", "²", "abc", "9" * 5000])
def test_a_query_with_anything_else_is_refused_by_name(value: str) -> None:
    with pytest.raises(serializers.ValidationError) as refusal:
        query_integer(value, name="limit", default=7, low=1, high=200)
    assert list(refusal.value.detail) == ["limit"]
