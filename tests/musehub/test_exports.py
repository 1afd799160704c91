"""A repo's sessions as files and as a calendar that one subscribes to, and the year as a picture."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.exports import LINE_BYTES, escaped, folded
from apps.musehub.heatmap import WEEKS, Heatmap, in_words, level
from apps.musehub.models import FeedAddress, RecordingSession, Repo
from tests.musehub.conftest import NINE, BrowserOf

HOUR = timedelta(hours=1)


@pytest.fixture
def ended(repo: Repo, alice: User) -> RecordingSession:
    """One that is over, full of what a format could trip over."""
    return recorder.start(
        repo,
        alice,
        started_at=NINE,
        ended_at=NINE + HOUR,
        participants=["Ann", "李雷"],
        intent="=1+1; drums, \\take\\",
        location="Studio, B",
        commits=["c0ffee"],
        notes="first\nsecond, " + "ж" * 100,
    )[0]


def export(browser: Client, repo: Repo, suffix: str, query: str = "") -> str:
    response = browser.get(f"/studio/{repo.owner.username}/{repo.slug}/export.{suffix}{query}")
    assert response.status_code == 200
    assert response.headers["Content-Disposition"] == f'attachment; filename="{repo.slug}.{suffix}"'
    return response.content.decode()


def unfolded(calendar: str) -> list[str]:
    """The content lines, as a calendar program reads them."""
    assert calendar.endswith("\r\n")
    assert "\n" not in calendar.replace("\r\n", "")
    assert all(len(line.encode()) <= LINE_BYTES for line in calendar.split("\r\n"))
    return calendar.replace("\r\n ", "").split("\r\n")[:-1]


def plain(text: str) -> str:
    """TEXT of RFC 5545, read."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], text)


def fields(lines: list[str]) -> dict[str, str]:
    return dict(line.split(":", 1) for line in lines)


# --- Files


def test_the_table_has_a_line_for_each_session(browser: Client, repo: Repo, ended: RecordingSession) -> None:
    live, _ = recorder.start(repo, ended.author or repo.owner, intent="Now")
    rows = list(csv.DictReader(io.StringIO(export(browser, repo, "csv"))))
    assert [row["sessionId"] for row in rows] == [live.session_id, ended.session_id]
    assert rows[0]["isActive"] == "true"
    assert rows[0]["endedAt"] == rows[0]["durationSeconds"] == ""
    assert rows[1]["durationSeconds"] == "3600.0"
    assert rows[1]["participants"] == "Ann; 李雷"
    assert rows[1]["notes"] == ended.notes


@pytest.mark.parametrize("said", ["=1+1", "+1", "-1", "@x", " \t=1", "\rx"])
def test_no_cell_is_a_formula(browser: Client, repo: Repo, alice: User, said: str) -> None:
    recorder.start(repo, alice, intent=said, participants=[said], location="Attic")
    (row,) = csv.DictReader(io.StringIO(export(browser, repo, "csv"), newline=""))
    assert row["intent"] == row["participants"] == f"'{said}"
    assert row["location"] == "Attic"


def test_the_json_is_what_the_api_says(browser: Client, repo: Repo, ended: RecordingSession) -> None:
    exported = json.loads(export(browser, repo, "json"))
    assert exported["repo"] == browser.get(f"/api/repos/{repo.repo_id}").json()
    assert exported["sessions"] == browser.get(f"/api/repos/{repo.repo_id}/sessions").json()["sessions"]


def test_a_file_holds_what_the_filters_of_the_page_let_through(
    browser: Client, repo: Repo, alice: User, ended: RecordingSession
) -> None:
    other, _ = recorder.start(repo, alice, started_at=NINE + 400 * 24 * HOUR, ended_at=NINE + 401 * 24 * HOUR)
    for suffix in ("csv", "json", "ics"):
        year = export(browser, repo, suffix, "?since=2025-01-01&until=2025-12-31")
        wanted, unwanted = (each.session_id.removeprefix("sha256:") for each in (ended, other))
        assert wanted in year.replace("\r\n ", "")
        assert unwanted not in year.replace("\r\n ", "")
        bad = browser.get(f"/studio/{repo.owner.username}/{repo.slug}/export.{suffix}?since=yesterday")
        assert bad.status_code == 422


# --- The calendar


def test_the_calendar_says_when_where_and_what(browser: Client, repo: Repo, ended: RecordingSession) -> None:
    lines = unfolded(export(browser, repo, "ics"))
    assert lines[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    assert lines[-1] == "END:VCALENDAR"
    event = fields(lines[lines.index("BEGIN:VEVENT") + 1 : lines.index("END:VEVENT")])
    assert event["UID"] == f"{ended.session_id[7:]}@nebulus-gantry"
    assert (event["DTSTART"], event["DTEND"]) == ("20250301T090000Z", "20250301T100000Z")
    assert plain(event["SUMMARY"]) == ended.intent
    assert plain(event["LOCATION"]) == ended.location
    assert ended.notes in plain(event["DESCRIPTION"])
    assert "With Ann, 李雷" in plain(event["DESCRIPTION"])
    assert event["URL"] == f"http://testserver/studio/alice/night-songs/{ended.session_id}"


def test_a_live_session_ends_now_and_one_whose_times_conflict_at_its_start(
    browser: Client, repo: Repo, alice: User
) -> None:
    recorder.start(repo, alice, started_at=NINE)
    recorder.start(repo, alice, started_at=NINE - HOUR, ended_at=NINE - 2 * HOUR)
    live, wrong = export(browser, repo, "ics").split("BEGIN:VEVENT")[1:]
    now = datetime.now(UTC)
    assert f"DTEND:{now:%Y%m%d}" in live
    assert "(live)" in live
    assert "DTEND" not in wrong


def test_lines_are_folded_within_75_bytes_and_never_within_a_character() -> None:
    for text in ("a" * 75, "a" * 76, "a" + "ж" * 200, "€" * 100, "😀" * 50):
        line = folded(text)
        assert line.replace("\r\n ", "") == f"{text}\r\n"
        assert all(len(piece.encode()) <= LINE_BYTES for piece in line.split("\r\n"))
    assert folded("a" * 75) == "a" * 75 + "\r\n"


def test_what_has_a_meaning_in_a_calendar_is_escaped() -> None:
    assert escaped("a;b,c\\d\r\ne\nf\x00\x1b") == r"a\;b\,c\\d\ne\nf"
    assert escaped("BEGIN:VEVENT\r\nUID:x") == r"BEGIN:VEVENT\nUID:x"


# --- The feed


def feed_address(browser: Client, repo: Repo) -> str:
    """A new one, from the page that shows it."""
    response = browser.post(f"/studio/{repo.owner.username}/{repo.slug}/feed")
    assert response.status_code == 201
    found = re.search(r'value="http://testserver(/studio/feed/[^"]+\.ics)"', response.content.decode())
    assert found is not None
    return found[1]


def test_a_feed_needs_no_sign_in_and_is_shown_once_and_stored_hashed(
    browser: Client, private_repo: Repo, alice: User
) -> None:
    session, _ = recorder.start(private_repo, alice, started_at=NINE, ended_at=NINE + HOUR)
    address = feed_address(browser, private_repo)
    response = Client().get(address)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert session.session_id[7:] in response.content.decode().replace("\r\n ", "")
    secret = address.split("/")[-1].removesuffix(".ics")
    assert secret not in str(FeedAddress.objects.values())
    assert secret not in browser.get("/studio/alice/sketches/settings").content.decode()


def test_a_feed_ends_when_it_is_revoked_or_made_anew(browser: Client, repo: Repo) -> None:
    first = feed_address(browser, repo)
    second = feed_address(browser, repo)
    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200
    browser.post("/studio/alice/night-songs/feed/revoke")
    assert Client().get(second).status_code == 404
    assert Client().get("/studio/feed/.ics").status_code == 404
    assert Client().get("/studio/feed/guess.ics").status_code == 404


def test_ones_feed_is_not_ended_by_somebody_else(
    browser: Client, browser_of: BrowserOf, carol: User, repo: Repo
) -> None:
    hers = feed_address(browser_of(carol), repo)
    browser.post("/studio/alice/night-songs/feed/revoke")
    assert Client().get(hers).status_code == 200


def no_longer_let_in(repo: Repo, carol: User) -> None:
    recorder.keep_out(repo, carol, actor=repo.owner)


def disabled(repo: Repo, carol: User) -> None:
    User.objects.filter(pk=carol.pk).update(is_active=False)


@pytest.mark.parametrize("happens", [no_longer_let_in, disabled])
def test_a_feed_ends_with_the_right_to_read(
    browser_of: BrowserOf, private_repo: Repo, carol: User, happens: Callable[[Repo, User], None]
) -> None:
    address = feed_address(browser_of(carol), private_repo)
    assert Client().get(address).status_code == 200
    happens(private_repo, carol)
    assert Client().get(address).status_code == 404


# --- The year

TODAY = date(2025, 6, 18)  # a Wednesday


def test_the_year_has_a_square_for_each_day_up_to_today() -> None:
    chart = Heatmap({TODAY: 1.5, date(2024, 7, 1): 5.0}, TODAY)
    picture = ElementTree.fromstring(chart.svg())
    squares = picture.findall("rect")
    assert len(squares) == (WEEKS - 1) * 7 + 3
    assert chart.first.weekday() == 0
    assert squares[-1].get("class") == "level-2"
    assert [square.findtext("title") for square in squares if square.get("class") != "level-0"] == [
        "5 h on 1 July 2024",
        "1 h 30 min on 18 June 2025",
    ]


def test_the_year_says_in_words_what_it_shows() -> None:
    chart = Heatmap({TODAY: 1.5, date(2024, 7, 1): 5.0, date(2020, 1, 1): 9.0}, TODAY)
    picture = ElementTree.fromstring(chart.svg())
    assert picture.get("role") == "img"
    assert picture.get("aria-label") == chart.summary
    assert chart.summary.startswith("6 h 30 min recorded on 2 days")
    assert [(each.day, each.words) for each in chart.recorded] == [(TODAY, "1 h 30 min"), (date(2024, 7, 1), "5 h")]
    rows = ElementTree.fromstring(f"<table>{chart.table_rows()}</table>").findall("tr")
    said = [[cell.text for cell in row] for row in rows]
    assert said == [["Wed 18 June 2025", "1 h 30 min"], ["Mon 1 July 2024", "5 h"]]
    assert Heatmap({}, TODAY).summary == "Nothing was recorded in the last year."


@pytest.mark.parametrize(("hours", "expected"), [(0, 0), (0.01, 1), (1, 2), (1.9, 2), (2, 3), (4, 4), (24, 4)])
def test_a_longer_day_is_darker(hours: float, expected: int) -> None:
    assert level(hours) == expected


@pytest.mark.parametrize(("hours", "words"), [(0.001, "under 1 min"), (0.75, "45 min"), (2, "2 h"), (3.999, "4 h")])
def test_hours_are_said_as_people_say_them(hours: float, words: str) -> None:
    assert in_words(hours) == words


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/studio/feed/open-sesame.ics", "path=/studio/feed/%E2%80%A6.ics "),
        ("/studio/alice/open-sesame", "path=/studio/alice/%E2%80%A6 "),
    ],
    ids=["a feed's secret", "what a repo is called"],
)
def test_the_log_does_not_tell(client: Client, caplog: pytest.LogCaptureFixture, path: str, logged: str) -> None:
    with caplog.at_level("INFO", "gantry.requests"):
        client.get(path)
    assert logged in caplog.text
    assert "open-sesame" not in caplog.text
