"""The operator's rooms: memories to look after and to forget for somebody, none to write."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.conversations.models import Conversation
from apps.core import fulltext
from apps.memory.models import Entity, ForgottenVector, MemorySetting, Recollection, Relation
from tests.memory.said import entity, know, say

ROOMS = ("recollection", "entity", "relation", "memorysetting", "forgottenvector")


def room(name: str, *args: object) -> str:
    """The address of a list, or of a page of one row."""
    kind = args[0] if args else "changelist"
    return reverse(f"admin:memory_{name}_{kind}", args=args[1:])


@pytest.fixture
def operator(root: User, browser_of: Callable[[User], Client]) -> Client:
    return browser_of(root)


@pytest.fixture
def said(alice: User) -> Recollection:
    """With a fact, a setting, and a vector that is yet to be deleted."""
    said = say(alice, "Canarybird plays the cello")
    know(said, "Canarybird", "plays", "cello")
    MemorySetting.switch(alice.pk, enabled=False)
    ForgottenVector.objects.create(recollection_id=7, owner_id=alice.pk)
    return said


def test_memories_are_found_by_words_filters_and_days(said: Recollection, bob: User, operator: Client) -> None:
    old = say(bob, "Long ago")
    Recollection.objects.filter(pk=old.pk).update(said_at=said.said_at - timedelta(days=800), embedder="some")
    year = said.said_at.year
    for query, found in (("", 2), ("?q=canarybird", 1), ("?q=bob@example.org", 1), (f"?said_at__year={year}", 1)):
        page = operator.get(room("recollection") + query)
        assert page.status_code == 200
        assert page.context["cl"].result_count == found, query


@pytest.mark.parametrize("name", ROOMS)
def test_every_room_opens_and_nothing_is_written_there(
    name: str, said: Recollection, alice: User, operator: Client, browser_of: Callable[[User], Client]
) -> None:
    row = admin.site.get_model_admin(_model(name)).model.objects.first()
    assert row is not None
    assert operator.get(room(name)).status_code == 200
    assert operator.get(room(name, "change", row.pk)).status_code == 200
    assert operator.post(room(name, "change", row.pk), {"text": "Other", "name": "Other"}).status_code == 403
    assert operator.get(room(name, "add")).status_code == 403
    assert browser_of(alice).get(room(name), follow=True).status_code == 403


def _model(name: str) -> type:
    return next(model for model in admin.site._registry if model._meta.label_lower == f"memory.{name}")


@pytest.mark.django_db(transaction=True)
def test_a_memory_forgotten_here_leaves_no_word_anywhere(said: Recollection, operator: Client) -> None:
    operator.post(room("recollection", "delete", said.pk), {"post": "yes"})
    assert not Recollection.objects.exists()
    assert ForgottenVector.objects.filter(recollection_id=said.pk).exists()
    assert LogEntry.objects.get().object_repr == f"Recollection {said.pk}"
    Conversation.objects.all().delete()  # which said it too
    while fulltext.purge():
        pass
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert "canarybird" not in repr(cursor.fetchall()).lower(), table


def test_several_are_forgotten_at_once(said: Recollection, bob: User, operator: Client) -> None:
    kept, gone = say(bob, "Kept"), say(bob, "Gone")
    form = {"action": "delete_selected", "_selected_action": [said.pk, gone.pk], "post": "yes"}
    operator.post(room("recollection"), form)
    assert Recollection.objects.get() == kept
    assert {entry.object_repr for entry in LogEntry.objects.all()} == {
        f"Recollection {said.pk}",
        f"Recollection {gone.pk}",
    }


@pytest.mark.parametrize("at_once", [False, True])
def test_an_entity_goes_with_its_facts_and_its_name_stays_in_no_log(
    at_once: bool, said: Recollection, alice: User, operator: Client
) -> None:
    canary = entity(alice, "Canarybird")
    if at_once:
        form = {"action": "delete_selected", "_selected_action": [canary.pk], "post": "yes"}
        operator.post(room("entity"), form)
    else:
        operator.post(room("entity", "delete", canary.pk), {"post": "yes"})
    assert not Relation.objects.exists()
    assert [each.name for each in Entity.objects.all()] == ["cello"]
    assert LogEntry.objects.get().object_repr == f"Entity {canary.pk}"


def test_a_fact_is_deleted_and_its_entities_stay(said: Recollection, operator: Client) -> None:
    operator.post(room("relation", "delete", Relation.objects.get().pk), {"post": "yes"})
    assert not Relation.objects.exists()
    assert Entity.objects.count() == 2


@pytest.mark.parametrize("name", ["memorysetting", "forgottenvector"])
def test_what_would_undo_a_choice_or_a_deletion_is_only_read(name: str, said: Recollection, operator: Client) -> None:
    row = _model(name).objects.get()  # type: ignore[attr-defined]
    assert operator.post(room(name, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_an_account_is_deleted_with_its_memory(said: Recollection, alice: User, operator: Client) -> None:
    operator.post(reverse("admin:accounts_user_delete", args=[alice.pk]), {"post": "yes"})
    assert not User.objects.filter(pk=alice.pk).exists()
    assert not Recollection.objects.exists()
    assert not Entity.objects.exists()
    assert not MemorySetting.objects.exists()


def test_every_room_has_search() -> None:
    for model, found in admin.site._registry.items():
        if model._meta.app_label == "memory":
            assert found.search_fields, model
