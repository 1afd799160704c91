"""Every error of ours, and the one place where an error becomes an API response.

The tree (subclasses live beside what raises them, and name the fact):

    GantryError                     code, status, detail
     ├─ InvalidInput        422     with `errors` by field
     │   └─ MalformedBody
     ├─ NotFound            404     missing, or somebody else's: the two look alike
     ├─ Conflict            409
     │   └─ conversations: TurnInProgress
     ├─ TooLarge            413
     ├─ DatabaseUnreachable 503
     └─ LLMError                    apps.llm.errors draws that branch

An error is an exception and a status, never content: its text reaches the reader in `detail` and is not stored as
anybody's words.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response

log = logging.getLogger(__name__)


class GantryError(Exception):
    """Something that is refused or went wrong, with a stable `code` for programs and a `detail` for people."""

    code = "error"
    status: int = status.HTTP_400_BAD_REQUEST
    detail = "The request could not be carried out."

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.detail
        super().__init__(self.detail)

    @property
    def headers(self) -> dict[str, str]:
        """What the response says besides its body."""
        return {}


class InvalidInput(GantryError):
    """What was sent does not fit; `errors` says so field by field."""

    code = "invalid"
    status = status.HTTP_422_UNPROCESSABLE_ENTITY
    detail = "Invalid input."

    def __init__(self, detail: str | None = None, errors: dict[str, list[str]] | None = None) -> None:
        super().__init__(detail)
        self.errors = errors or {}


class MalformedBody(InvalidInput):
    """The body could not be read as JSON."""

    detail = "The body is not valid JSON."


class NotFound(GantryError):
    """There is no such thing, or it is not this person's to see."""

    code = "not_found"
    status = status.HTTP_404_NOT_FOUND
    detail = "Not found."


class Conflict(GantryError):
    """The present state does not allow it."""

    code = "conflict"
    status = status.HTTP_409_CONFLICT


class TooLarge(GantryError):
    """More was sent than is taken."""

    code = "too_large"
    status = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    detail = "That is too large."


class DatabaseUnreachable(GantryError):
    """The database does not answer, and nothing can be done without it."""

    code = "database_unreachable"
    status = status.HTTP_503_SERVICE_UNAVAILABLE
    detail = "The database does not answer. Try again in a moment."


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: every error body has `detail`; invalid input is 422 with `errors` by field."""
    # Late: this module is what the classes that rest_framework.views loads by name stand on.
    from rest_framework.views import exception_handler as rest_exception_handler

    if isinstance(exc, GantryError):
        return _gantry_response(exc)
    if isinstance(exc, exceptions.ValidationError):
        return _invalid_response(exc)
    if isinstance(exc, RequestDataTooBig):
        return _gantry_response(TooLarge())
    if isinstance(exc, Http404):
        return _gantry_response(NotFound())
    if isinstance(exc, (OperationalError, InterfaceError)):
        log.error("the database does not answer", exc_info=exc)
        return _gantry_response(DatabaseUnreachable())
    if isinstance(exc, exceptions.ParseError):
        return _gantry_response(InvalidInput("The body could not be read."))
    if isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    return rest_exception_handler(exc, context)


def _gantry_response(exc: GantryError) -> Response:
    body: dict[str, object] = {"detail": exc.detail, "code": exc.code}
    if isinstance(exc, InvalidInput):
        body["errors"] = exc.errors
    return Response(body, status=exc.status, headers=exc.headers)


def _invalid_response(exc: exceptions.ValidationError) -> Response:
    errors: Any = exc.get_full_details()
    fields = _messages(errors) if isinstance(errors, dict) else {"non_field_errors": _flatten(errors)}
    first = next(iter(fields.items()), ("", ["Invalid input."]))
    detail = first[1][0] if first[0] in ("", "non_field_errors") else f"{first[0]}: {first[1][0]}"
    return Response({"detail": detail, "code": "invalid", "errors": fields}, status=422)


def _messages(errors: dict[str, Any]) -> dict[str, list[str]]:
    return {field: _flatten(value) for field, value in errors.items()}


def _flatten(value: Any) -> list[str]:
    """The messages in DRF's nested error details, in order."""
    if isinstance(value, dict):
        if "message" in value and isinstance(value["message"], str):
            return [str(value["message"])]
        return [message for nested in value.values() for message in _flatten(nested)]
    if isinstance(value, list):
        return [message for nested in value for message in _flatten(nested)]
    return [str(value)]
