"""The operator's rooms: repos and sessions to look after, what happened to read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.models import Activity, FeedAddress, RecordingSession, Repo
from tests.musehub.conftest import NINE, BrowserOf

SESSIONS = reverse("admin:musehub_recordingsession_changelist")


@pytest.fixture
def operator(root: User, browser_of: BrowserOf) -> Client:
    return browser_of(root)


def test_sessions_are_found_by_words_filters_and_days(session: RecordingSession, alice: User, operator: Client) -> None:
    recorder.start(session.repo, alice, started_at=NINE - timedelta(days=400), is_over=True, intent="Canary")
    for query, found in (("", 2), ("?q=canary", 1), ("?is_active__exact=1", 1), ("?started_at__year=2024", 1)):
        page = operator.get(SESSIONS + query)
        assert page.status_code == 200
        assert page.context["cl"].result_count == found, query


def test_forgotten_sessions_are_ended_at_their_last_activity(
    session: RecordingSession, alice: User, operator: Client
) -> None:
    noted = recorder.append_note(session, "The last sign of life", actor=alice)
    over, _ = recorder.start(session.repo, alice, started_at=NINE + timedelta(days=1), ended_at=NINE)
    form = {"action": "end_at_last_activity", "_selected_action": [session.pk, over.pk]}
    page = operator.post(SESSIONS, form, follow=True)
    assert b"Ended: 1." in page.content
    session.refresh_from_db()
    assert (session.is_active, session.ended_at) == (False, noted.last_activity_at)
    over.refresh_from_db()
    assert over.ended_at == NINE
    stopped = Activity.objects.get(kind="session.stopped")
    assert (stopped.session, stopped.actor_name) == (session, "root")


def test_nobody_else_ends_sessions_here(session: RecordingSession, alice: User, browser_of: BrowserOf) -> None:
    form = {"action": "end_at_last_activity", "_selected_action": [session.pk]}
    assert browser_of(alice).post(SESSIONS, form, follow=True).status_code == 403
    session.refresh_from_db()
    assert session.is_active


def test_sessions_and_what_happened_are_read_only(session: RecordingSession, operator: Client) -> None:
    activity = Activity.objects.first()
    assert activity is not None
    for name, row in (("recordingsession", session), ("activity", activity)):
        path = reverse(f"admin:musehub_{name}_change", args=[row.pk])
        assert operator.get(path).status_code == 200
        assert operator.post(path, {"notes": "Other"}).status_code == 403
        assert operator.get(reverse(f"admin:musehub_{name}_add")).status_code == 403
    assert operator.post(reverse("admin:musehub_activity_delete", args=[activity.pk])).status_code == 403


def test_an_operator_hides_a_repo_and_it_is_written_down(repo: Repo, operator: Client) -> None:
    path = reverse("admin:musehub_repo_change", args=[repo.pk])
    inline = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    form = {"name": "Renamed", "visibility": "private", "description": "", "tags": "[]", **inline}
    assert operator.post(path, form).status_code == 302
    repo.refresh_from_db()
    assert (repo.name, repo.visibility, repo.slug) == ("Renamed", "private", "night-songs")
    changed = Activity.objects.get(kind="repo.updated")
    assert (changed.actor_name, changed.detail) == ("root", {"fields": ["name", "visibility"]})


def test_a_repo_is_deleted_and_the_log_keeps_nothing_of_it(alice: User, operator: Client) -> None:
    repo = recorder.open_repo(alice, name="Canary", visibility="private")
    session, _ = recorder.start(repo, alice, notes="Canary")
    recorder.append_note(session, "Canary", actor=alice)
    FeedAddress.objects.issue(alice, repo)
    operator.post(reverse("admin:musehub_repo_delete", args=[repo.pk]), {"post": "yes"})
    assert not Repo.objects.exists()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert "Canary" not in repr(cursor.fetchall()), table


def test_a_feed_address_is_revoked_by_deleting_it(repo: Repo, alice: User, operator: Client) -> None:
    address, secret = FeedAddress.objects.issue(alice, repo)
    assert FeedAddress.objects.with_secret(secret) == address
    operator.post(reverse("admin:musehub_feedaddress_delete", args=[address.pk]), {"post": "yes"})
    assert FeedAddress.objects.with_secret(secret) is None


def test_every_room_has_search_and_a_date_hierarchy_or_filters() -> None:
    for model, room in admin.site._registry.items():
        if model._meta.app_label == "musehub":
            assert room.search_fields, model
            assert room.list_filter, model
