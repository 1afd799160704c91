"""Recording sessions over HTTP: starting, logging, listing, reading, changing and stopping them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.identity import identity_id, session_id
from apps.musehub.models import RecordingSession, Repo
from tests.musehub.conftest import NINE, BrowserOf, patch, path_to, post, sessions_of

EIGHT_IN_TOKYO = "2025-01-01T17:00:00+09:00"
EIGHT = "2025-01-01T08:00:00+00:00"


# --- Starting


def test_a_session_is_started_empty_and_live(repo: Repo, browser: Client) -> None:
    response = post(browser, sessions_of(repo))
    assert response.status_code == 201
    made = response.json()
    stored = RecordingSession.objects.get()
    assert made == {
        "sessionId": session_id(repo.repo_id, identity_id("alice"), stored.started_at),
        "repoId": repo.repo_id,
        "author": "alice",
        "startedAt": stored.started_at.isoformat(),
        "endedAt": None,
        "durationSeconds": None,
        "timesConflict": False,
        "participants": [],
        "commits": [],
        "notes": "",
        "intent": "",
        "location": "",
        "isActive": True,
        "version": 1,
        "createdAt": stored.created_at.isoformat(),
    }
    assert abs(stored.started_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_session_keeps_what_it_is_given_in_order(repo: Repo, browser: Client) -> None:
    given = {
        "startedAt": EIGHT,
        "participants": ["zoë", "alice", "bob", "alice"],
        "intent": "Write the chorus",
        "location": "Abbey Road",
        "notes": "  # Takes\n",
        "commits": ["b" * 40, "a" * 40],
    }
    made = post(browser, sessions_of(repo), **given).json()
    assert {name: made[name] for name in given} == given
    assert browser.get(f"{sessions_of(repo)}/{made['sessionId']}").json() == made


@pytest.mark.parametrize("told", [EIGHT, EIGHT_IN_TOKYO, "2025-01-01T08:00:00", "2025-01-01 08:00Z"])
def test_a_start_is_the_same_moment_whatever_its_offset_and_utc_without_one(
    told: str, repo: Repo, browser: Client
) -> None:
    made = post(browser, sessions_of(repo), startedAt=told).json()
    assert made["startedAt"] == EIGHT
    assert made["sessionId"] == session_id(repo.repo_id, identity_id("alice"), datetime.fromisoformat(EIGHT))


def test_the_same_push_again_is_found_and_not_doubled(repo: Repo, browser: Client) -> None:
    first = post(browser, sessions_of(repo), startedAt=EIGHT, intent="jam")
    again = post(browser, sessions_of(repo), startedAt=EIGHT_IN_TOKYO, intent="another", endedAt=EIGHT)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert RecordingSession.objects.count() == 1


def test_two_people_may_start_at_the_same_moment(
    repo: Repo, browser: Client, carol: User, browser_of: BrowserOf
) -> None:
    mine = post(browser, sessions_of(repo), startedAt=EIGHT)
    theirs = post(browser_of(carol), sessions_of(repo), startedAt=EIGHT)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["sessionId"] != theirs.json()["sessionId"]
    assert theirs.json()["author"] == "carol"


def test_a_session_that_is_over_is_logged_with_its_end(repo: Repo, browser: Client) -> None:
    made = post(browser, sessions_of(repo), startedAt=EIGHT, endedAt="2025-01-01T09:30:00.25+00:00").json()
    assert (made["isActive"], made["durationSeconds"], made["timesConflict"]) == (False, 5400.25, False)


def test_a_session_logged_as_not_active_ends_at_its_start(repo: Repo, browser: Client) -> None:
    made = post(browser, sessions_of(repo), isActive=False).json()
    assert (made["isActive"], made["durationSeconds"]) == (False, 0)
    assert made["endedAt"] == made["startedAt"]


def test_an_end_before_the_start_is_kept_as_told(repo: Repo, browser: Client) -> None:
    made = post(browser, sessions_of(repo), startedAt=EIGHT, endedAt="2025-01-01T07:00:00Z").json()
    assert made["endedAt"] == "2025-01-01T07:00:00+00:00"
    assert (made["isActive"], made["durationSeconds"], made["timesConflict"]) == (False, 0, True)


def test_a_conflict_of_times_is_mended_by_another_end(repo: Repo, browser: Client) -> None:
    made = post(browser, sessions_of(repo), startedAt=EIGHT, endedAt="2025-01-01T07:00:00Z").json()
    path = f"{sessions_of(repo)}/{made['sessionId']}"
    mended = patch(browser, path, {"endedAt": "2025-01-01T09:00:00Z"}).json()
    assert (mended["isActive"], mended["durationSeconds"], mended["timesConflict"]) == (False, 3600, False)


def test_a_live_session_has_no_end_to_mend(session: RecordingSession, browser: Client) -> None:
    response = patch(browser, path_to(session), {"endedAt": EIGHT})
    assert (response.status_code, response.json()["code"]) == (409, "session_is_live")
    assert RecordingSession.objects.get().is_active


def test_many_sessions_are_started_one_after_another(repo: Repo, browser: Client) -> None:
    for _ in range(15):
        assert post(browser, sessions_of(repo), intent="batch").status_code == 201
    assert browser.get(f"{sessions_of(repo)}?limit=200").json()["total"] == 15


# --- Stopping


def test_a_stop_ends_a_session_now(repo: Repo, browser: Client) -> None:
    made = post(browser, sessions_of(repo)).json()
    response = post(browser, f"{sessions_of(repo)}/{made['sessionId']}/stop")
    assert response.status_code == 200
    stopped = response.json()
    assert stopped["isActive"] is False
    assert stopped["endedAt"] >= made["startedAt"]
    assert stopped["version"] == 2
    row = RecordingSession.objects.get()
    assert (row.is_active, row.ended_at and row.ended_at.isoformat()) == (False, stopped["endedAt"])


@pytest.mark.parametrize(("minutes", "seconds"), [(90, 5400.0), (60, 3600.0)])
def test_the_duration_is_the_time_from_start_to_end(
    minutes: int, seconds: float, session: RecordingSession, browser: Client
) -> None:
    end = (NINE + timedelta(minutes=minutes)).isoformat()
    assert post(browser, path_to(session, "stop"), endedAt=end).json()["durationSeconds"] == seconds


def test_a_second_stop_changes_nothing(session: RecordingSession, browser: Client) -> None:
    first = post(browser, path_to(session, "stop"), endedAt="2025-03-01T10:00:00Z").json()
    second = post(browser, path_to(session, "stop"), endedAt="2025-03-01T11:00:00Z")
    assert (second.status_code, second.json()) == (200, first)


def test_a_stop_before_the_start_is_kept_as_told(session: RecordingSession, browser: Client) -> None:
    stopped = post(browser, path_to(session, "stop"), endedAt="2025-01-01T00:00:00Z").json()
    assert (stopped["isActive"], stopped["durationSeconds"], stopped["timesConflict"]) == (False, 0, True)


def test_a_session_started_in_the_future_is_stopped_without_a_conflict(repo: Repo, browser: Client) -> None:
    made = post(browser, sessions_of(repo), startedAt="2099-01-01T00:00:00Z").json()
    stopped = post(browser, f"{sessions_of(repo)}/{made['sessionId']}/stop").json()
    assert (stopped["durationSeconds"], stopped["timesConflict"]) == (0, False)


def test_to_stop_what_is_not_there_is_a_404(repo: Repo, browser: Client) -> None:
    missing = session_id(repo.repo_id, identity_id("alice"), NINE)
    for sid in ("nonexistent", missing):
        assert post(browser, f"{sessions_of(repo)}/{sid}/stop").status_code == 404


def test_the_database_holds_that_a_session_is_live_exactly_without_an_end(session: RecordingSession) -> None:
    rows = RecordingSession.objects.filter(pk=session.pk)
    for broken in ({"is_active": False}, {"ended_at": NINE}, {"duration": timedelta(1)}):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**broken)


def test_the_database_holds_an_id_once(session: RecordingSession, alice: User) -> None:
    twin = RecordingSession.draft(session.repo, alice, NINE)
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()


# --- Reading


def test_a_session_belongs_to_its_repo_alone(session: RecordingSession, alice: User, browser: Client) -> None:
    other = recorder.open_repo(alice, name="Elsewhere", visibility="public")
    path = f"{sessions_of(other)}/{session.session_id}"
    assert browser.get(path_to(session)).json()["sessionId"] == session.session_id
    assert browser.get(path).status_code == 404
    assert patch(browser, path, {"notes": "Mine"}).status_code == 404
    for verb in ("stop", "notes"):
        assert post(browser, f"{path}/{verb}", text="Mine").status_code == 404
    assert RecordingSession.objects.get().version == 1


def test_a_session_that_is_not_there_is_a_404_like_any_other(repo: Repo, browser: Client) -> None:
    missing = session_id(repo.repo_id, identity_id("alice"), NINE)
    answers = [browser.get(f"{sessions_of(repo)}/{sid}") for sid in ("nonexistent", missing)]
    answers += [browser.get("/api/repos/nonexistent"), browser.get("/api/chat/conversations/999")]
    assert {(each.status_code, each.content) for each in answers} == {(404, answers[0].content)}


def listed(client: Client, repo: Repo, query: str = "") -> Any:
    response = client.get(f"{sessions_of(repo)}{query}")
    assert response.status_code == 200, response.content
    return response.json()


def intents(client: Client, repo: Repo, query: str = "") -> list[str]:
    page = listed(client, repo, query)
    assert page["total"] == len(page["sessions"])
    return [each["intent"] for each in page["sessions"]]


def test_a_repo_without_sessions_lists_none(repo: Repo, client: Client) -> None:
    assert listed(client, repo) == {"sessions": [], "total": 0, "nextCursor": None}
    assert client.get("/api/repos/nonexistent/sessions").status_code == 404


def test_live_sessions_come_first_and_then_the_newest(repo: Repo, alice: User, client: Client) -> None:
    for day, is_over in ((1, False), (2, True), (3, False), (4, True)):
        recorder.start(repo, alice, started_at=NINE + timedelta(days=day), is_over=is_over, intent=str(day))
    assert intents(client, repo) == ["3", "1", "4", "2"]


def test_sessions_come_in_pages_that_hold_each_once(repo: Repo, alice: User, carol: User, client: Client) -> None:
    for number in range(60):
        for author in (alice, carol):
            recorder.start(repo, author, started_at=NINE + timedelta(hours=number), is_over=bool(number % 3))
    everything = [each["sessionId"] for each in listed(client, repo, "?limit=200")["sessions"]]
    assert len(listed(client, repo)["sessions"]) == 50

    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = listed(client, repo, f"?limit=7&cursor={cursor}")
        assert page["total"] == 120
        seen += [each["sessionId"] for each in page["sessions"]]
        cursor = page["nextCursor"]
    assert seen == everything
    assert len(set(seen)) == 120


def test_a_page_goes_on_where_the_last_one_ended_whatever_was_added_or_deleted(
    repo: Repo, alice: User, client: Client
) -> None:
    made = [recorder.start(repo, alice, started_at=NINE + timedelta(days=day))[0] for day in range(4)]
    page = listed(client, repo, "?limit=2")
    recorder.start(repo, alice, started_at=NINE + timedelta(days=9))
    made[2].delete()
    rest = listed(client, repo, f"?limit=2&cursor={page['nextCursor']}")
    assert [each["sessionId"] for each in rest["sessions"]] == [made[1].session_id, made[0].session_id]


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=999", "limit=x", "limit=-1"),
        *("cursor=x", "cursor=1.2", "cursor=1.%00.3", "cursor=2.5.5"),
        *(f"cursor=1.{'9' * 30}.1", f"cursor=1.{'9' * 5000}.1", f"cursor=1.5.{2**63}"),
        *("live=maybe", "since=yesterday", "until=5", "since=0001-01-01", "until=9999-12-31"),
        *("q=%00", "participant=%00", f"q={'x' * 201}"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(query: str, repo: Repo, client: Client) -> None:
    response = client.get(f"{sessions_of(repo)}?{query}")
    assert response.status_code == 422
    assert response.json()["errors"].keys() == {query.partition("=")[0]}


def test_the_number_of_queries_does_not_grow_with_the_page(repo: Repo, alice: User, browser: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            listed(browser, repo, "?limit=200")
        return len(captured)

    recorder.start(repo, alice)
    few = queries()
    for _ in range(60):
        recorder.start(repo, alice, participants=["ann"], commits=["c"])
    assert queries() == few <= 6


def test_starting_listing_and_stopping_take_less_than_half_a_second(repo: Repo, alice: User, browser: Client) -> None:
    for _ in range(20):
        recorder.start(repo, alice)
    began = perf_counter()
    made = post(browser, sessions_of(repo), intent="perf").json()
    started = perf_counter()
    listed(browser, repo)
    found = perf_counter()
    post(browser, f"{sessions_of(repo)}/{made['sessionId']}/stop")
    assert max(started - began, found - started, perf_counter() - found) < 0.5


# --- Searching


@pytest.fixture
def year(repo: Repo, alice: User) -> Repo:
    """Three sessions to tell apart."""
    march, april, may = (datetime(2025, month, 10, 12, tzinfo=UTC) for month in (3, 4, 5))
    recorder.start(repo, alice, started_at=march, is_over=True, intent="drums", location="Abbey Road", notes="50% done")
    recorder.start(repo, alice, started_at=april, is_over=True, intent="vocals", participants=["Zoë", "Ann"])
    recorder.start(repo, alice, started_at=may, intent="mix", location="Garage", participants=["Ann Marie"])
    return repo


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["mix", "vocals", "drums"]),
        ("?live=&q=&since=", ["mix", "vocals", "drums"]),
        ("?live=true", ["mix"]),
        ("?live=false", ["vocals", "drums"]),
        ("?participant=Ann", ["vocals"]),
        ("?participant=Zo%C3%AB", ["vocals"]),
        ("?participant=An", []),
        ("?location=abbey+road", ["drums"]),
        ("?location=abbey", []),
        ("?q=DRUM", ["drums"]),
        ("?q=gara", ["mix"]),
        ("?q=ann", ["mix", "vocals"]),
        ("?q=50%25", ["drums"]),
        ("?q=0%25+d", ["drums"]),
        ("?q=_", []),
        ("?q=%25", ["drums"]),
        ("?q=%22", []),
        ("?since=2025-04-10", ["mix", "vocals"]),
        ("?since=2025-04-10T12:00:00Z", ["mix", "vocals"]),
        ("?since=2025-04-10T12:00:01Z", ["mix"]),
        ("?until=2025-04-10", ["vocals", "drums"]),
        ("?until=2025-04-10T12:00:00Z", ["drums"]),
        ("?since=2025-04-01&until=2025-04-30&live=false&q=voc&participant=Ann", ["vocals"]),
    ],
)
def test_filters_narrow_the_list(query: str, found: list[str], year: Repo, client: Client) -> None:
    assert intents(client, year, query) == found


def test_filters_look_at_all_sessions_and_not_at_a_page(year: Repo, client: Client) -> None:
    page = listed(client, year, "?limit=1&live=false")
    assert (page["total"], len(page["sessions"])) == (2, 1)
    rest = listed(client, year, f"?limit=1&live=false&cursor={page['nextCursor']}")
    assert [each["intent"] for each in rest["sessions"]] == ["drums"]
    assert rest["nextCursor"] is None


# --- Changing


CHANGES = {
    "notes": "# Better\n",
    "commits": ["c" * 40],
    "participants": ["bob", "alice"],
    "intent": "mix",
    "location": "home",
}


def test_each_field_can_be_changed_and_nothing_else_moves(session: RecordingSession, browser: Client) -> None:
    before = browser.get(path_to(session)).json()
    fixed = {"sessionId": "x", "author": "bob", "startedAt": EIGHT, "isActive": False, "version": 9, "repoId": "x"}
    response = patch(browser, path_to(session), CHANGES | fixed)
    assert response.status_code == 200
    assert response.json() == before | CHANGES | {"version": 2}
    assert browser.get(path_to(session)).json() == response.json()


def test_what_is_the_same_as_before_is_no_change(session: RecordingSession, browser: Client) -> None:
    assert patch(browser, path_to(session), {"notes": "", "participants": []}).json()["version"] == 1
    assert patch(browser, path_to(session), {}).json()["version"] == 1


@pytest.mark.parametrize("header", ["1", '"1"', " 1 ", "*"])
def test_a_change_against_the_present_version_is_made(header: str, session: RecordingSession, browser: Client) -> None:
    assert patch(browser, path_to(session), CHANGES, **{"If-Match": header}).json()["version"] == 2


def test_a_change_against_an_old_version_is_refused(session: RecordingSession, browser: Client) -> None:
    patch(browser, path_to(session), {"notes": "Theirs"})
    refused = patch(browser, path_to(session), {"notes": "Mine"}, **{"If-Match": "1"})
    assert (refused.status_code, refused.json()["code"]) == (412, "version_moved")
    assert browser.get(path_to(session)).json()["notes"] == "Theirs"
    assert patch(browser, path_to(session), {"notes": "Mine"}).json()["notes"] == "Mine"


@pytest.mark.parametrize("header", ["x", "-1", '"1', "1.5", "1, 2", "9" * 30])
def test_an_if_match_that_is_no_version_is_refused(header: str, session: RecordingSession, browser: Client) -> None:
    assert patch(browser, path_to(session), CHANGES, **{"If-Match": header}).status_code == 422
    assert RecordingSession.objects.get().version == 1


# --- Notes


def test_a_note_is_appended_with_its_date_and_whose_it_is(
    session: RecordingSession, browser: Client, carol: User, browser_of: BrowserOf
) -> None:
    patch(browser, path_to(session), {"notes": "# Takes"})
    response = post(browser, path_to(session, "notes"), text="Take 1 is out of tune.")
    assert response.status_code == 200
    noted = post(browser_of(carol), path_to(session, "notes"), text="Take 2 is *good*.").json()
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    head, first, whose, second = (line for line in noted["notes"].splitlines() if line and "alice**" not in line)
    assert (head, first, second) == ("# Takes", "Take 1 is out of tune.", "Take 2 is *good*.")
    assert whose.startswith(f"**{day} ")
    assert whose.endswith(" UTC · carol**")
    assert noted["version"] == 4


def test_a_note_sent_again_is_kept_once_and_each_sender_has_ids_of_their_own(
    session: RecordingSession, browser: Client, carol: User, browser_of: BrowserOf
) -> None:
    for client in (browser, browser, browser_of(carol), browser_of(carol)):
        response = post(client, path_to(session, "notes"), text="Louder", clientId="note-1")
        assert response.status_code == 200
    assert response.json()["notes"].count("Louder") == 2
    for _ in range(2):
        response = post(browser, path_to(session, "notes"), text="Louder")
    assert response.json()["notes"].count("Louder") == 4


def test_a_note_that_no_longer_fits_is_refused(session: RecordingSession, browser: Client) -> None:
    patch(browser, path_to(session), {"notes": "x" * 999_990})
    refused = post(browser, path_to(session, "notes"), text="one too many")
    assert refused.status_code == 422
    assert refused.json()["errors"]["text"]
    assert RecordingSession.objects.get().notes == "x" * 999_990


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "  \n"}, {"text": 5}, {"text": "x", "clientId": "y" * 65}])
def test_what_is_no_note_is_refused(body: dict[str, Any], session: RecordingSession, browser: Client) -> None:
    assert post(browser, path_to(session, "notes"), **body).status_code == 422
    assert RecordingSession.objects.get().version == 1
