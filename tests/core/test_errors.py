"""Every error becomes a response with `detail`."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions

from apps.core.errors import Conflict, GantryError, InvalidInput, MalformedBody, NotFound, TooLarge, exception_handler


class Busy(Conflict):
    code = "busy"
    detail = "Somebody else is at it."


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (GantryError(), 400, {"detail": "The request could not be carried out.", "code": "error"}),
        (Busy(), 409, {"detail": "Somebody else is at it.", "code": "busy"}),
        (Busy("Later."), 409, {"detail": "Later.", "code": "busy"}),
        (NotFound(), 404, {"detail": "Not found.", "code": "not_found"}),
        (Http404("Canary"), 404, {"detail": "Not found.", "code": "not_found"}),
        (TooLarge(), 413, {"detail": "That is too large.", "code": "too_large"}),
        (RequestDataTooBig("Canary"), 413, {"detail": "That is too large.", "code": "too_large"}),
        (MalformedBody(), 422, {"detail": "The body is not valid JSON.", "code": "invalid", "errors": {}}),
        (
            exceptions.ParseError("Canary"),
            422,
            {"detail": "The body could not be read.", "code": "invalid", "errors": {}},
        ),
        (
            InvalidInput("No.", {"title": ["No."]}),
            422,
            {"detail": "No.", "code": "invalid", "errors": {"title": ["No."]}},
        ),
        (PermissionDenied("Canary"), 403, {"detail": "You do not have permission to perform this action."}),
        (
            exceptions.ValidationError({"title": ["Too long.", "Ugly."], "model": ["No."]}),
            422,
            {
                "detail": "title: Too long.",
                "code": "invalid",
                "errors": {"title": ["Too long.", "Ugly."], "model": ["No."]},
            },
        ),
        (
            exceptions.ValidationError("Wrong."),
            422,
            {"detail": "Wrong.", "code": "invalid", "errors": {"non_field_errors": ["Wrong."]}},
        ),
        (
            exceptions.ValidationError({"times": {"0": ["No."], "1": [{"at": ["Never."]}]}}),
            422,
            {"detail": "times: No.", "code": "invalid", "errors": {"times": ["No.", "Never."]}},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_becomes_its_status_and_a_body_with_detail(
    error: Exception, status: int, body: dict[str, Any]
) -> None:
    response = exception_handler(error, {})
    assert response is not None
    assert (response.status_code, response.data) == (status, body)


@pytest.mark.parametrize("fault", [OperationalError("disk I/O error: Canary"), InterfaceError("closed: Canary")])
def test_a_database_that_is_away_is_a_503_that_tells_no_more_and_a_line_in_the_log(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    response = exception_handler(fault, {})
    assert response is not None
    assert response.status_code == 503
    assert response.data["detail"] == "The database does not answer. Try again in a moment."
    assert caplog.records[-1].exc_info[1] is fault


def test_a_fault_of_ours_is_not_made_to_look_like_a_refusal() -> None:
    assert exception_handler(ZeroDivisionError(), {}) is None
