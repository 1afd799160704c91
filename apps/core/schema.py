"""OpenAPI schemas of what goes over the wire as typed dictionaries."""

from __future__ import annotations

from typing import Any

from drf_spectacular.plumbing import resolve_type_hint


def schema_of(hint: Any) -> dict[str, Any]:
    """The OpenAPI schema of a type, such as the TypedDict of an event."""
    schema: dict[str, Any] = resolve_type_hint(hint)  # type: ignore[no-untyped-call]
    return schema
