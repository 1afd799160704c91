"""What does not fit is refused in JSON, with a reason and a status below 500, and has changed nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.musehub.models import Activity, RecordingSession, Repo
from tests.musehub.conftest import JSON, path_of, path_to, post, send, sessions_of
from tests.musehub.test_access import API

MEGABYTE = "x" * 1_000_000


def stored() -> list[object]:
    return [list(model._default_manager.order_by("pk").values()) for model in (Repo, RecordingSession, Activity)]


def assert_refused(response: Any, *statuses: int) -> None:
    assert response.status_code in statuses, (response.status_code, response.content[:200])
    assert response.headers["Content-Type"] == JSON
    assert response.json()["detail"]


FIELDS: dict[str, list[Any]] = {
    "participants": [
        *("ann", 5, None, {}, {"0": "ann"}, True),
        *(["x"] * 10_000, ["x"] * 201, [MEGABYTE], ["x" * 201], [""], [5], [None], [["ann"]], ["a\x00b"], ["\ud800"]),
    ],
    "commits": ["abc", [5], ["x"] * 10_001, ["x" * 101], [""], ["a\x00"], None],
    "intent": [5, None, [], "x" * 10_001, "a\x00b", "\udfff"],
    "location": [5, None, {}, "x" * 501, "\x00"],
    "notes": [5, None, [], "x" * 1_000_001, "a\x00b", "\ud800"],
    "endedAt": [
        *(5, True, [], {}, "", "yesterday", "2025-13-01T00:00:00Z", "2025-02-30T00:00:00Z", "25:00", "2025"),
        *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"),
        *("1969-12-31T23:59:59Z", "2101-01-01T00:00:00Z", "1970-01-01T00:00:00+01:00", "2100-12-31T23:59:59-01:00"),
        *("2025-01-01T00:00:00\x00", "2025-01-01T00:00:00+99:00", "1e5", MEGABYTE),
    ],
}
CREATED = FIELDS | {"startedAt": FIELDS["endedAt"], "isActive": ["true", 1, 0, None, []]}


def cases(fields: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(field, value, id=f"{field}-{number}")
        for field, values in fields.items()
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(("field", "value"), cases(CREATED))
def test_a_session_is_not_started_with_what_does_not_fit(field: str, value: Any, repo: Repo, browser: Client) -> None:
    before = stored()
    response = send(browser, "POST", sessions_of(repo), {"intent": "fine", field: value})
    assert_refused(response, 422)
    assert list(response.json()["errors"]) == [field]
    assert len(response.content) < 5000
    assert stored() == before


@pytest.mark.parametrize(("field", "value"), cases(FIELDS))
def test_a_session_is_not_changed_to_what_does_not_fit(
    field: str, value: Any, session: RecordingSession, browser: Client
) -> None:
    before = stored()
    assert_refused(send(browser, "PATCH", path_to(session), {"location": "fine", field: value}), 422)
    assert stored() == before


@pytest.mark.parametrize("value", FIELDS["endedAt"])
def test_a_session_is_not_stopped_at_what_is_no_time(value: Any, session: RecordingSession, browser: Client) -> None:
    before = stored()
    assert_refused(post(browser, path_to(session, "stop"), endedAt=value), 422)
    assert stored() == before


@pytest.mark.parametrize(
    "body",
    {
        "list": b"[]",
        "text": b'"x"',
        "null": b"null",
        "number": b"7",
        "cut": b'{"notes": "x"',
        "not JSON": b"notes=x",
        "deep": b"[" * 100_000,
        "deep in a field": b'{"participants": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "NaN": b'{"notes": NaN}',
        "latin-1": '{"notes": "é"}'.encode("latin-1"),
        "5,000 digits": b'{"notes": ' + b"9" * 5000 + b"}",
    }.items(),
    ids=lambda case: case[0],
)
def test_what_is_no_object_of_json_is_refused(
    body: tuple[str, bytes], session: RecordingSession, browser: Client
) -> None:
    before = stored()
    paths = [(door.method, door.path) for door in API if door.body is not None]
    for method, path in paths:
        address = path.format(repo_id=session.repo.repo_id, session_id=session.session_id)
        assert_refused(browser.generic(method, address, body[1], JSON), 422)
    assert stored() == before


def test_a_body_over_eight_megabytes_is_too_large(session: RecordingSession, browser: Client) -> None:
    before = stored()
    for path in (sessions_of(session.repo), path_to(session, "notes")):
        assert_refused(send(browser, "POST", path, {"notes": "x" * 8_000_001, "text": "x"}), 413)
    assert stored() == before


def variants(identifier: str) -> list[str]:
    digits = identifier.removeprefix("sha256:")
    return [
        *(identifier[:-1], identifier + "0", digits, identifier[:20], "sha256:", f"sha256%3A{digits[:-1]}"),
        *(f"sha256:{digits.upper()}", f"SHA256:{digits}", identifier[:-1] + "g"),
        *(f"../{identifier}", f"..%2f{identifier}", f"%2e%2e%2f{identifier}", f"{identifier}%2f..", f"./{identifier}"),
        *(
            f"{identifier}%00",
            f"%00{identifier}",
            f"{identifier}%0a",
            f"{identifier}%20",
            "%ff",
            "%ed%a0%80",
            "'",
            "%25",
        ),
        *("x" * 5000, "-1", "0", "9" * 40, "nonexistent"),
    ]


def test_an_id_that_is_not_whole_finds_nothing(session: RecordingSession, browser: Client) -> None:
    before = stored()
    repo = session.repo
    capitals = repo.repo_id.removeprefix("sha256:").upper() != repo.repo_id.removeprefix("sha256:")
    assert capitals, "an id without a letter would be the same in capitals"
    for door in API:
        for wrong in variants(repo.repo_id):
            path = door.path.format(repo_id=wrong, session_id=session.session_id, user_id=1)
            assert_refused(send(browser, door.method, path, door.body), 404)
        if "{session_id}" in door.path:
            for wrong in [*variants(session.session_id), repo.repo_id]:
                path = door.path.format(repo_id=repo.repo_id, session_id=wrong)
                # `sessions/../x` and the like are other routes, which may not take the method.
                assert_refused(send(browser, door.method, path, door.body), 404, 405)
    assert stored() == before


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "BREW"])
def test_a_method_that_a_route_does_not_take_is_a_405(method: str, session: RecordingSession, browser: Client) -> None:
    for path in (
        sessions_of(session.repo),
        path_to(session),
        path_to(session, "stop"),
        path_of(session.repo, "activity"),
    ):
        assert_refused(browser.generic(method, path), 405)


def test_unknown_fields_are_left_alone(repo: Repo, browser: Client) -> None:
    made = post(browser, sessions_of(repo), sessionId="x", author="bob", author_name="bob", version=9, pk=7, repo=3)
    assert made.status_code == 201
    assert (made.json()["author"], made.json()["version"]) == ("alice", 1)


def test_the_longest_that_fits_is_taken_and_given_back(repo: Repo, browser: Client) -> None:
    longest = {
        "participants": ["x" * 200] * 200,
        "commits": ["c" * 100] * 10_000,
        "intent": "i" * 10_000,
        "location": "l" * 500,
        "notes": "é" * 1_000_000,
        "startedAt": "1970-01-01T00:00:00+00:00",
        "endedAt": "2100-12-31T23:59:59.999999+00:00",
    }
    made = browser.post(sessions_of(repo), json.dumps(longest), JSON)
    assert made.status_code == 201
    assert {name: made.json()[name] for name in longest} == longest
