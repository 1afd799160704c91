"""The studio's pages over HTTP: what they show, what their forms do, and what they say when something is wrong.

Who may see and do what stands in `test_access`.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.models import RecordingSession, Repo
from apps.musehub.views import REPOS_A_PAGE, SESSIONS_A_PAGE
from tests.conversations.test_pages import HOSTILE, find, texts
from tests.musehub.conftest import NINE, BrowserOf

HOUR = timedelta(hours=1)
HTMX = {"HX-Request": "true"}


def page_of(thing: Repo | RecordingSession, *parts: str) -> str:
    """The address of a repo's page or a session's, or one below it."""
    repo = thing if isinstance(thing, Repo) else thing.repo
    own = [] if isinstance(thing, Repo) else [thing.session_id]
    return "/".join(["/studio", repo.owner.username, repo.slug, *own, *parts])


def html_of(browser: Client, path: str, **headers: str) -> str:
    response = browser.get(path, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def rows(html: str) -> list[str]:
    """The ids of the listed sessions, in order."""
    return [each["id"] for each in find(html, "li") if each.attributes.get("id", "")]


def listed(browser: Client, repo: Repo, **filters: str) -> list[str]:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return rows(html_of(browser, f"{page_of(repo)}?{query}"))


def over(repo: Repo, author: User, day: int = 0, **fields: object) -> RecordingSession:
    """A session of an hour that is over, so many days after the first of March 2025."""
    begun = NINE + day * 24 * HOUR
    return recorder.start(repo, author, started_at=begun, ended_at=begun + HOUR, **fields)[0]


def figures(html: str) -> dict[str, str]:
    return dict(zip(texts(html, "dt"), texts(html, "dd"), strict=True))


# --- The studio


def test_the_studio_of_a_new_musician_says_what_it_is_for_and_holds_the_first_step(
    bob: User, browser_of: BrowserOf
) -> None:
    html = html_of(browser_of(bob), "/studio")
    assert "You have no repo yet" in html
    (panel,) = find(html, "details", class_="panel")
    assert "open" in panel.attributes


def test_the_studio_lists_mine_those_i_work_on_and_public_ones_once_each(
    browser_of: BrowserOf, alice: User, bob: User, carol: User, repo: Repo, private_repo: Repo
) -> None:
    mine = ["alice / Sketches", "alice / Night Songs"]
    assert texts(html_of(browser_of(alice), "/studio"), "a", class_="name") == mine
    assert texts(html_of(browser_of(carol), "/studio"), "a", class_="name") == mine
    assert texts(html_of(browser_of(bob), "/studio"), "a", class_="name") == mine[1:]


def test_nobody_is_sent_to_sign_in_and_back(db: None) -> None:
    assert Client().get("/studio").headers["Location"] == "/login?next=/studio"


def test_the_studio_goes_on_from_the_last_repo_shown(browser: Client, alice: User, bob: User) -> None:
    for number in range(REPOS_A_PAGE + 1):
        recorder.open_repo(bob, name=f"R{number}", visibility="public")
    html = html_of(browser, "/studio")
    first = texts(html, "a", class_="name")
    (more,) = [each["href"] for each in find(html, "a") if each.text == "Older ones"]
    assert len(first) == REPOS_A_PAGE
    assert texts(html_of(browser, f"/studio{more}"), "a", class_="name") == ["bob / R0"]
    assert browser.get("/studio?public=x").status_code == 404


def test_a_repo_is_made_and_shown(browser: Client, alice: User) -> None:
    made = {"name": "Night Ferry", "visibility": "private", "description": "Songs", "tags": "indie, album, indie,"}
    response = browser.post("/studio", made)
    assert response.headers["Location"] == "/studio/alice/night-ferry"
    repo = Repo.objects.get()
    assert (repo.visibility, repo.tags) == ("private", ["indie", "album"])
    html = html_of(browser, "/studio/alice/night-ferry")
    assert "No sessions yet." in html
    assert texts(html, "h1") == ["Night Ferry"]


@pytest.mark.parametrize(
    ("wrong", "status", "said"),
    [
        ({"name": ""}, 422, "This field is required."),
        ({"name": "x" * 101}, 422, "at most 100 characters"),
        ({"name": "A\0B"}, 422, "Null characters"),
        ({"visibility": "secret"}, 422, "not one of the available choices"),
        ({"tags": "x" * 51}, 422, "At most 50 tags"),
        ({"name": "Night  songs!"}, 409, "You have a repo of this name already."),
    ],
)
def test_a_repo_that_cannot_be_made_says_why_and_keeps_what_was_written(
    browser: Client, repo: Repo, wrong: dict[str, str], status: int, said: str
) -> None:
    response = browser.post("/studio", {"name": "New", "visibility": "public", "description": "Kept", **wrong})
    assert response.status_code == status
    html = response.content.decode()
    assert said in html
    assert "Kept" in html
    assert Repo.objects.count() == 1


# --- A repo


def test_a_repo_shows_its_figures_its_year_and_who_is_live(browser: Client, repo: Repo, alice: User) -> None:
    over(repo, alice, commits=["a", "b"], participants=["Ann", "Ben"])
    live, _ = recorder.start(repo, alice, intent="Vocals", participants=["Ann"])
    html = html_of(browser, page_of(repo))
    assert figures(html) == {"Sessions": "2", "Live now": "1", "In the studio": "1.0 h", "Commits": "2", "People": "2"}
    assert find(html, "svg", role="img")
    assert len(find(html, "studio-clock")) == 2  # the banner's and the row's
    (stop,) = [form for form in find(html, "form") if form["action"].endswith("/stop")]
    assert stop["action"] == page_of(live, "stop")


def test_the_number_of_queries_does_not_grow_with_the_sessions(
    browser: Client, repo: Repo, alice: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for day in range(SESSIONS_A_PAGE + 1):
        over(repo, alice, day)
    html_of(browser, page_of(repo))
    with django_assert_max_num_queries(16):
        html_of(browser, page_of(repo))


def test_the_list_goes_on_from_the_last_session_shown(browser: Client, repo: Repo, alice: User) -> None:
    made = [over(repo, alice, day).session_id for day in range(SESSIONS_A_PAGE + 2)]
    html = html_of(browser, page_of(repo))
    (more,) = [each["hx-get"] for each in find(html, "a") if each.text == "Show more"]
    late = over(repo, alice, 900).session_id
    following = rows(html_of(browser, more, **HTMX))
    assert rows(html) + following == made[::-1]
    assert late not in following
    assert browser.get(f"{page_of(repo)}?after=x").status_code == 404


def test_filters_look_at_all_sessions_and_not_at_the_page(browser: Client, repo: Repo, alice: User) -> None:
    old = over(repo, alice, intent="Tape test", participants=["Ann"], location="Attic", notes="hiss").session_id
    for day in range(1, SESSIONS_A_PAGE + 1):
        over(repo, alice, day)
    live = recorder.start(repo, alice)[0].session_id
    assert old not in listed(browser, repo)
    for filters in (
        {"q": "TAPE"},
        {"q": "hiss"},
        {"participant": "Ann"},
        {"location": "attic"},
        {"until": "2025-03-01"},
        {"since": "2025-03-01", "until": "2025-03-01", "state": "ended"},
    ):
        assert listed(browser, repo, **filters) == [old], filters
    assert listed(browser, repo, state="live") == [live]
    assert listed(browser, repo, q="nothing-like-it") == []


def test_a_day_of_the_filter_is_the_readers_own(browser: Client, repo: Repo, alice: User) -> None:
    late, _ = recorder.start(repo, alice, started_at=NINE + 14 * HOUR, ended_at=NINE + 15 * HOUR)
    assert listed(browser, repo, since="2025-03-02") == []
    browser.cookies["timezone"] = "Europe/Berlin"
    assert listed(browser, repo, since="2025-03-02", until="2025-03-02") == [late.session_id]
    assert "00:00" in html_of(browser, page_of(late))


@pytest.mark.parametrize(
    "wrong",
    ["since=yesterday", "since=0001-01-01", "until=9999-12-31", "state=asleep", "q=%00", f"participant={'x' * 201}"],
)
def test_a_filter_that_makes_no_sense_says_so(browser: Client, repo: Repo, alice: User, wrong: str) -> None:
    over(repo, alice)
    html = html_of(browser, f"{page_of(repo)}?{wrong}")
    assert find(html, "p", role="alert")
    assert rows(html) == []


def test_a_public_repo_is_readable_without_signing_in_and_offers_nothing_to_write(
    repo: Repo, session: RecordingSession
) -> None:
    for path in (page_of(repo), page_of(session), f"{page_of(session)}?edit=notes"):
        html = html_of(Client(), path)
        assert not [form for form in find(html, "form") if form.attributes.get("method") == "post"]
        assert not find(html, "studio-follow", data_repo=repo.repo_id)


def test_what_is_written_on_a_page_is_text(browser: Client, repo: Repo, alice: User) -> None:
    recorder.change_repo(repo, {"name": HOSTILE, "description": HOSTILE, "tags": [HOSTILE]}, actor=alice)
    fields = {"intent": HOSTILE, "location": HOSTILE, "notes": HOSTILE}
    session = over(repo, alice, participants=[HOSTILE], commits=[HOSTILE], **fields)
    for path in (page_of(repo), page_of(session), page_of(repo, "settings"), "/studio"):
        assert not re.search("<img[^>]*onerror", html_of(browser, path))


@pytest.mark.parametrize(("parts", "name"), [((), "start"), (("settings",), "delete-repo")])
def test_what_opens_over_a_page_has_the_focus_in_it_and_a_way_back(
    browser: Client, repo: Repo, parts: tuple[str, ...], name: str
) -> None:
    html = html_of(browser, page_of(repo, *parts))
    (cancel,) = find(html, "button", popovertarget=name, popovertargetaction="hide")
    assert cancel.text == "Cancel"
    (focused,) = [each for tag in ("input", "button") for each in find(html, tag) if "autofocus" in each.attributes]
    assert focused.attributes.get("id") == "start-intent" if name == "start" else focused["popovertarget"] == name


def test_a_refused_start_is_part_of_the_page_and_cannot_be_closed(browser: Client, repo: Repo) -> None:
    html = browser.post(page_of(repo, "start"), {"intent": "x" * 10_001}).content.decode()
    assert "popover" not in find(html, "div", id="start")[0].attributes
    assert not find(html, "button", popovertarget="start", popovertargetaction="hide")


# --- A session


def test_a_session_is_started_noted_and_stopped_from_its_pages(browser: Client, repo: Repo) -> None:
    about = {"intent": "Vocals", "participants": "Ann\r\n\r\n Ben \n", "location": "Attic"}
    response = browser.post(page_of(repo, "start"), about)
    session = RecordingSession.objects.get()
    assert response.headers["Location"] == page_of(session)
    assert session.participants == ["Ann", "Ben"]
    for _ in range(2):
        browser.post(page_of(session, "append"), {"text": "Take **2**\r\nis it", "client_id": "once"})
    browser.post(page_of(session, "stop"))
    html = html_of(browser, page_of(session))
    assert texts(html, "strong").count("2") == 1
    assert not find(html, "studio-clock")
    session.refresh_from_db()
    assert "Take **2**\nis it" in session.notes
    assert session.ended_at is not None


def test_a_session_that_is_over_is_written_down_in_the_readers_time(browser: Client, repo: Repo) -> None:
    browser.cookies["timezone"] = "Europe/Berlin"
    times = {"started_at": "2025-03-01T10:00", "ended_at": "2025-03-01T11:30"}
    assert browser.post(page_of(repo, "log"), times).status_code == 302
    session = RecordingSession.objects.get()
    assert (session.started_at, session.duration_seconds) == (NINE, 5400)


@pytest.mark.parametrize("started_at", ["", "soon", "0001-01-01T00:00", "9999-12-31T23:59", "1969-12-31T10:00"])
def test_a_session_at_an_impossible_time_is_refused(browser: Client, repo: Repo, started_at: str) -> None:
    for zone in ("UTC", "Pacific/Kiritimati", "America/Los_Angeles", "No/Where"):
        browser.cookies["timezone"] = zone
        times = {"started_at": started_at, "ended_at": "2025-03-01T11:30"}
        response = browser.post(page_of(repo, "log"), times)
        assert response.status_code == 422
        assert find(response.content.decode(), "ul", class_="errorlist")
    assert not RecordingSession.objects.exists()


TO_COME = "This time is in the future."
TURNED_AROUND = "The end is before the beginning."


@pytest.mark.parametrize(
    ("started_at", "ended_at", "refused"),
    [
        ("2025-03-01T11:30", "2025-03-01T11:29", {"ended_at": TURNED_AROUND}),
        ("2025-03-01T11:30", "2099-03-01T11:30", {"ended_at": TO_COME}),
        ("2099-03-01T11:30", "2099-03-01T12:30", {"started_at": TO_COME, "ended_at": TO_COME}),
        ("2099-03-01T11:30", "2025-03-01T11:30", {"started_at": TO_COME}),
    ],
)
def test_a_session_that_cannot_be_over_is_not_written_down(
    browser: Client, repo: Repo, started_at: str, ended_at: str, refused: dict[str, str]
) -> None:
    times = {"started_at": started_at, "ended_at": ended_at}
    response = browser.post(page_of(repo, "log"), times | {"intent": "Kept words"})
    assert response.status_code == 422
    html = response.content.decode()
    assert dict(re.findall(r'<ul class="errorlist" id="log-(\w+)_error"><li>([^<]*)</li></ul>', html)) == refused
    assert "Kept words" in html
    assert not RecordingSession.objects.exists()


def test_a_session_of_no_length_is_written_down(browser: Client, repo: Repo) -> None:
    times = {"started_at": "2025-03-01T10:00", "ended_at": "2025-03-01T10:00"}
    assert browser.post(page_of(repo, "log"), times).status_code == 302


@pytest.mark.parametrize(
    "wrong",
    [
        {"participants": "x" * 201},
        {"participants": "x\n" * 201},
        {"intent": "x" * 10_001},
        {"location": "x" * 501},
        {"intent": "A\0B"},
    ],
)
def test_too_much_about_a_session_is_refused(browser: Client, repo: Repo, wrong: dict[str, str]) -> None:
    assert browser.post(page_of(repo, "start"), wrong).status_code == 422
    assert not RecordingSession.objects.exists()


def test_notes_are_shown_as_markdown_and_edited_in_place(browser: Client, session: RecordingSession) -> None:
    recorder.edit(session, {"notes": "# Plan\n\n- *one*"}, actor=session.repo.owner)
    assert texts(html_of(browser, page_of(session)), "em") == ["one"]
    html = html_of(browser, f"{page_of(session)}?edit=notes")
    (area,) = find(html, "textarea", name="notes")
    assert area.text.strip() == "# Plan\n\n- *one*"
    (version,) = {each["value"] for each in find(html, "input", name="version")}
    assert browser.post(page_of(session, "notes"), {"notes": "a\r\nb", "version": version}).status_code == 302
    session.refresh_from_db()
    assert session.notes == "a\nb"


def test_notes_that_somebody_changed_meanwhile_are_not_overwritten_and_nothing_is_lost(
    browser: Client, session: RecordingSession, carol: User
) -> None:
    read = session.version
    recorder.append_note(session, "Hers", actor=carol)
    response = browser.post(page_of(session, "notes"), {"notes": "Mine", "version": read})
    assert response.status_code == 412
    html = response.content.decode()
    assert "Hers" in html
    assert texts(html, "textarea", name="notes") == ["Mine"]
    session.refresh_from_db()
    assert "Hers" in session.notes
    again = browser.post(page_of(session, "notes"), {"notes": "Both", "version": session.version})
    assert again.status_code == 302
    session.refresh_from_db()
    assert session.notes == "Both"


def test_details_are_changed_under_the_same_condition(browser: Client, session: RecordingSession, carol: User) -> None:
    read = session.version
    recorder.edit(session, {"location": "Attic"}, actor=carol)
    fields = {"intent": "Bass", "commits": "c0ffee\n9f3c", "location": "Hall"}
    refused = browser.post(page_of(session, "details"), {**fields, "version": read})
    assert refused.status_code == 412
    assert find(refused.content.decode(), "input", name="intent", value="Bass")
    session.refresh_from_db()
    assert (session.intent, session.location) == ("", "Attic")
    browser.post(page_of(session, "details"), {**fields, "version": session.version})
    session.refresh_from_db()
    assert (session.intent, session.location, session.commits) == ("Bass", "Hall", ["c0ffee", "9f3c"])


def test_times_that_conflict_ask_to_be_mended(browser: Client, repo: Repo, alice: User) -> None:
    session, _ = recorder.start(repo, alice, started_at=NINE, ended_at=NINE - HOUR)
    assert "ends before it starts" in html_of(browser, page_of(session))
    assert browser.post(page_of(session, "end"), {"ended_at": "x"}).status_code == 422
    browser.post(page_of(session, "end"), {"ended_at": "2025-03-01T10:30:00"})
    session.refresh_from_db()
    assert session.duration_seconds == 5400
    assert "ends before it starts" not in html_of(browser, page_of(session))


def test_the_end_of_a_live_session_is_not_mended_but_made(browser: Client, session: RecordingSession) -> None:
    response = browser.post(page_of(session, "end"), {"ended_at": "2025-03-01T10:30"}, follow=True)
    assert "still running" in response.content.decode()
    session.refresh_from_db()
    assert session.is_active


def test_a_session_is_found_by_its_whole_id_in_its_own_repo(
    browser: Client, session: RecordingSession, private_repo: Repo
) -> None:
    own = session.session_id
    assert browser.get(page_of(session)).status_code == 200
    for wrong in (own[:-1], own.upper(), own[7:], f"{own}0", "sha256:", "%00", "..%2F..", "sha256:" + "0" * 64):
        assert browser.get(f"{page_of(session.repo)}/{wrong}").status_code == 404
    assert browser.get(f"{page_of(private_repo)}/{own}").status_code == 404
    assert browser.post(f"{page_of(private_repo)}/{own}/stop").status_code == 404


def test_what_happened_says_who_did_what(
    browser: Client, repo: Repo, session: RecordingSession, carol: User, alice: User
) -> None:
    recorder.edit(session, {"notes": "x", "participants": ["Ann"]}, actor=carol)
    recorder.keep_out(repo, carol, actor=alice)
    said = " ".join(re.sub("<[^>]*>", " ", html_of(browser, page_of(repo))).split())
    assert "alice no longer lets in carol" in said
    assert "carol changed the notes and people of a session" in said
    assert "alice started a session" in said
    assert "alice made this repo" in said


# --- Settings


def test_the_owner_lets_somebody_in_and_out_again(browser: Client, repo: Repo, bob: User) -> None:
    browser.post(page_of(repo, "collaborators"), {"username": "bob"})
    assert repo.may_write(bob)
    browser.post(page_of(repo, "collaborators", str(bob.pk), "remove"))
    assert not repo.may_write(bob)
    assert browser.post(page_of(repo, "collaborators", str(bob.pk), "remove")).status_code == 404


@pytest.mark.parametrize(
    ("username", "said"),
    [("nobody", "nobody of this username"), ("alice", "may write there already"), ("", "required")],
)
def test_somebody_who_cannot_be_let_in_is_named(browser: Client, repo: Repo, username: str, said: str) -> None:
    response = browser.post(page_of(repo, "collaborators"), {"username": username})
    assert response.status_code == 422
    assert said in response.content.decode()


def test_a_repo_is_renamed_at_the_same_address_and_deleted(browser: Client, repo: Repo) -> None:
    browser.post(page_of(repo, "settings"), {"name": "Dawn Songs", "visibility": "private"})
    html = html_of(browser, page_of(repo))
    assert texts(html, "h1") == ["Dawn Songs"]
    response = browser.post(page_of(repo, "delete"), follow=True)
    assert "“Dawn Songs” is deleted." in response.content.decode()
    assert browser.get(page_of(repo)).status_code == 404


@pytest.mark.parametrize("form", ["details", "notes", "append", "end", "stop"])
def test_the_address_of_a_sessions_form_leads_to_its_page(browser: Client, repo: Repo, alice: User, form: str) -> None:
    begun, _ = recorder.start(repo, alice)
    page = f"/studio/alice/{repo.slug}/{begun.session_id}"
    assert browser.get(f"{page}/{form}").headers["Location"] == page
    begun.refresh_from_db()
    assert begun.is_active, "looking changes nothing"


@pytest.mark.parametrize("form", ["start", "delete", "collaborators", "feed", "feed/revoke"])
def test_the_address_of_a_repos_form_leads_to_its_page(browser: Client, repo: Repo, form: str) -> None:
    page = f"/studio/alice/{repo.slug}"
    assert browser.get(f"{page}/{form}").headers["Location"] == page
    assert Repo.objects.filter(pk=repo.pk).exists()
