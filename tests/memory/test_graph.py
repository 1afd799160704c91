"""The graph at its face: what is read is there once, belongs to one person, can be mended, and goes when forgotten."""

from __future__ import annotations

from itertools import pairwise

import pytest
from django.db import connection

from apps.accounts.models import User
from apps.core.errors import InvalidInput, NotFound
from apps.memory import graph
from apps.memory.entities import Found
from apps.memory.errors import NameTaken
from apps.memory.facts import Fact, Reading
from apps.memory.models import Entity, Mention, Recollection, Relation
from tests.memory.remembered import recollect

pytestmark = pytest.mark.django_db


def read(owner: User, text: str, *, speaker: str | None = None) -> Recollection:
    recollection = recollect(owner, text, speaker=speaker)
    assert graph.read(recollection)
    return recollection


def names(owner: User) -> set[str]:
    return set(Entity.objects.visible_to(owner).values_list("name", flat=True))


def the(owner: User, name: str) -> Entity:
    return Entity.objects.visible_to(owner).get(name=name)


def facts(owner: User, question: str) -> list[str]:
    return [fact.sentence for fact in graph.facts_about(owner.pk, question)]


# --- Reading


def test_what_was_said_is_known_with_its_source(alice: User) -> None:
    recollection = read(alice, "My sister Anna plays the cello.")
    [fact, _] = graph.facts_about(alice.pk, "What does Anna play?")
    assert fact.sentence == "Anna plays cello"
    assert (fact.source, fact.speaker, fact.said_at) == (recollection.source, "Alice", recollection.said_at)


def test_reading_twice_doubles_nothing_and_marks_who_read(alice: User) -> None:
    recollection = read(alice, "My sister Anna plays the cello. Anna lives in Lisbon.")
    before = [model.objects.count() for model in (Entity, Mention, Relation)]
    assert graph.read(recollection)
    assert [model.objects.count() for model in (Entity, Mention, Relation)] == before
    recollection.refresh_from_db()
    assert recollection.extractor == graph.RULES


def test_what_is_read_again_by_another_leaves_nothing_of_the_first_reading(alice: User) -> None:
    recollection = recollect(alice, "I play in a band called Moss & Iron.")
    first = Reading([Found("Moss", "organisation"), Found("Iron", "person")], [])
    wrong = Fact(Found("Alice", "person"), "plays in", Found("Moss", "organisation"))
    assert graph.store(recollection, first._replace(facts=[wrong]), extractor="rules-0")
    graph.add_fact(recollection, "Alice", "sings in", "Moss & Iron", object_kind="organisation")
    recollection.refresh_from_db()
    assert graph.read(recollection)
    assert names(alice) == {"Alice", "Moss & Iron"}
    told = ["Alice plays in Moss & Iron", "Alice sings in Moss & Iron"]
    assert sorted(facts(alice, "Who is in Moss & Iron?")) == told, "what was added is kept"


def test_a_fact_that_is_added_takes_no_other_away(alice: User) -> None:
    recollection = read(alice, "Anna plays the cello.")
    recollection.refresh_from_db()
    graph.add_fact(recollection, "Anna", "plays", "viola", object_kind="music")
    assert sorted(facts(alice, "Anna")) == ["Anna plays cello", "Anna plays viola"]


def test_a_name_the_person_chose_outlives_another_reading(alice: User) -> None:
    recollection = recollect(alice, "I play in a band called Moss & Iron.")
    assert graph.store(recollection, Reading([Found("Moss", "organisation")], []), extractor="rules-0")
    graph.rename(the(alice, "Moss"), "The Mosses")
    recollection.refresh_from_db()
    assert graph.read(recollection)
    assert names(alice) == {"Alice", "Moss & Iron", "The Mosses"}


def test_one_name_is_one_entity_however_it_is_written(alice: User) -> None:
    read(alice, "I met Anna in Lisbon.")
    graph.add_fact(recollect(alice, "ANNA"), "ANNA", "lives in", "lisbon", object_kind="place")
    assert names(alice) == {"Alice", "Anna", "Lisbon"}


def test_both_sides_of_a_chat_are_read_and_the_assistant_is_nobody(alice: User) -> None:
    read(alice, "I live in Lisbon. Anna plays the cello.", speaker="Assistant")
    assert names(alice) == {"Lisbon", "Anna", "cello"}
    assert Relation.objects.count() == 1


@pytest.mark.parametrize("name", ["Ana\u00a0Ray", "Ana \U0001f469\u200d\U0001f3a4", "\ufdfa" * 20])
def test_somebody_whose_name_no_entity_can_have_is_read_all_the_same(alice: User, name: str) -> None:
    said = [recollect(alice, f"I play the {thing}.", speaker=name) for thing in ("cello", "tuba")]
    assert all(graph.read(each) for each in said)
    assert {"cello", "tuba"} <= set(Entity.objects.values_list("name", flat=True))


def test_a_fact_can_be_added_once(alice: User) -> None:
    recollection = recollect(alice, "…")
    first = graph.add_fact(recollection, "Anna", "plays", "cello", object_kind="music")
    assert graph.add_fact(recollection, "anna", " plays ", "Cello") == first
    assert first.subject.name == "Anna"
    assert first.object.kind == "music"


@pytest.mark.parametrize(
    ("subject", "predicate", "obj", "kind"),
    [
        ("", "plays", "cello", "music"),
        ("Anna\0", "plays", "cello", "music"),
        ("Anna", "", "cello", "music"),
        ("Anna", "p" * 101, "cello", "music"),
        ("Anna", "plays", "c" * 201, "music"),
        ("Anna", "plays", "cello", "nonsense"),
        ("Anna", "is", "ANNA", "person"),
    ],
)
def test_what_is_no_fact_is_refused(alice: User, subject: str, predicate: str, obj: str, kind: str) -> None:
    with pytest.raises(InvalidInput):
        graph.add_fact(recollect(alice, "…"), subject, predicate, obj, object_kind=kind)


def test_nothing_is_stored_of_what_is_forgotten(alice: User) -> None:
    recollection = recollect(alice, "Anna plays the cello.")
    Recollection.objects.all().delete()
    assert not graph.read(recollection)
    with pytest.raises(NotFound):
        graph.add_fact(recollection, "Anna", "plays", "cello")
    assert not Entity.objects.exists()


# --- Asking


def test_the_graph_goes_as_far_as_it_is_asked_to(alice: User) -> None:
    said = recollect(alice, "…")
    for subject, obj in pairwise(["A1", "B1", "C1", "D1"]):
        graph.add_fact(said, subject, "knows", obj)
    start = the(alice, "A1").pk
    reached = [
        {node["name"] for _, node in graph.related(alice.pk, start, hops).nodes(data=True)} for hops in (0, 1, 2)
    ]
    assert reached == [{"A1"}, {"A1", "B1"}, {"A1", "B1", "C1"}]
    [(subject, obj, told)] = graph.related(alice.pk, start, 1).edges(data=True)
    assert (subject, obj) == (start, the(alice, "B1").pk)
    assert told == {"predicate": "knows", "recollection_id": said.pk}


def test_a_large_neighbourhood_is_cut(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_NEIGHBOURS", 5)
    said = recollect(alice, "…")
    for number in range(9):
        graph.add_fact(said, "Hub", "knows", f"N{number}")
    assert len(graph.related(alice.pk, the(alice, "Hub").pk, 3)) == 5


def test_alices_entities_never_meet_bobs(alice: User, bob: User) -> None:
    read(alice, "Anna plays the cello. I live in Lisbon.")
    read(bob, "Anna plays the piano. I live in Porto.")
    assert names(alice) == {"Anna", "cello", "Alice", "Lisbon"}
    assert set(facts(bob, "What does Anna play, and where do I live?")) == {"Anna plays piano", "Bob lives in Porto"}
    hers = the(alice, "Anna")
    assert len(graph.related(bob.pk, hers.pk, 2)) == 0
    assert graph.facts_of(bob.pk, hers.pk) == []
    assert len(graph.related(alice.pk, hers.pk, 2)) == 2
    with pytest.raises(NotFound):
        graph.merge(hers, the(bob, "Anna"))
    assert {entity.name for entity in graph.whole(bob).entities} == {"Anna", "piano", "Bob", "Porto"}


def test_a_question_calls_for_what_it_names_and_asks(alice: User) -> None:
    read(alice, "My sister Anna lives in Lisbon. I play the cello. I live in Berlin. Tom lives in Paris.")
    assert facts(alice, "Where do I live?")[0] == "Alice lives in Berlin"
    assert "Alice plays cello" not in facts(alice, "Where do I live?")
    assert "Anna lives in Lisbon" in facts(alice, "Where does my sister live?")
    assert facts(alice, "Tell me of tom's day") == ["Tom lives in Paris"]
    assert facts(alice, "What should I cook tonight?") == []
    assert facts(alice, "") == facts(alice, "\0" * 9) == []


def test_a_fact_said_twice_is_told_once_as_it_was_said_last(alice: User) -> None:
    read(alice, "Anna plays the cello.")
    last = read(alice, "Anna plays the cello.")
    [fact] = graph.facts_about(alice.pk, "Anna?")
    assert fact.source == last.source
    assert graph.facts_of(alice.pk, the(alice, "Anna").pk)[0].source == last.source


def test_a_question_costs_few_queries_however_long_it_is(alice: User, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    read(alice, "My sister Anna lives in Lisbon.")
    with django_assert_max_num_queries(10):
        assert facts(alice, "Where does my sister Anna live? " + "word " * 100_000)


def test_the_whole_tells_what_it_leaves_out(alice: User) -> None:
    read(alice, "Anna plays the cello.")
    read(alice, "Anna lives in Lisbon.")
    whole = graph.whole(alice, entities=2, relations=1)
    first = whole.entities[0]
    assert (first.name, first.mention_count) == ("Anna", 2)
    assert (len(whole.entities), whole.entities_total, whole.relations_total) == (2, 3, 2)
    assert {entity.pk for entity in whole.entities} >= {fact.subject_id for fact in whole.relations}


# --- Mending


def test_a_new_name_stays_and_the_old_one_still_leads_there(alice: User) -> None:
    read(alice, "My brother Tom plays the viola.")
    graph.rename(the(alice, "Tom"), "  Thomas   Miller ")
    read(alice, "Tom lives in Porto. Thomas Miller loves jazz.")
    assert names(alice) == {"Alice", "Thomas Miller", "viola", "Porto", "jazz"}
    assert "Thomas Miller lives in Porto" in facts(alice, "Where does Tom live?")


def test_a_name_that_another_one_has_is_refused(alice: User) -> None:
    read(alice, "Anna met Tom.")
    tom, anna = the(alice, "Tom"), the(alice, "Anna")
    with pytest.raises(NameTaken) as refused:
        graph.rename(tom, "ANNA")
    assert refused.value.entity_id == anna.pk
    graph.rename(tom, "Thomas")
    with pytest.raises(NameTaken):
        graph.rename(anna, "tom")
    graph.rename(tom, "Tom")


@pytest.mark.parametrize("name", ["", "   ", "n" * 201, "a\0b", "\ud800"])
def test_what_is_no_name_is_refused(alice: User, name: str) -> None:
    read(alice, "Anna lives in Lisbon.")
    with pytest.raises(InvalidInput):
        graph.rename(the(alice, "Anna"), name)


def test_two_become_one_with_all_that_is_known_of_both(alice: User) -> None:
    read(alice, "Anna plays the cello. Annie plays the cello. Annie lives in Lisbon. Anna met Annie.")
    graph.merge(the(alice, "Annie"), into=the(alice, "Anna"))
    assert names(alice) == {"Anna", "cello", "Lisbon"}
    assert sorted(facts(alice, "Annie")) == ["Anna lives in Lisbon", "Anna plays cello"]
    read(alice, "Annie loves jazz.")
    assert "Anna loves jazz" in facts(alice, "Anna")
    assert "Annie" not in names(alice)


def test_what_cannot_be_merged(alice: User) -> None:
    read(alice, "Anna met Tom.")
    anna, tom = the(alice, "Anna"), the(alice, "Tom")
    with pytest.raises(InvalidInput):
        graph.merge(anna, anna)
    graph.delete(tom)
    with pytest.raises(NotFound):
        graph.merge(tom, anna)
    with pytest.raises(NotFound):
        graph.rename(tom, "Thomas")


def test_a_deleted_entity_takes_its_facts_along(alice: User) -> None:
    read(alice, "Anna plays the cello. Tom plays the cello.")
    graph.delete(the(alice, "Anna"))
    assert names(alice) == {"Tom", "cello"}
    assert facts(alice, "cello") == ["Tom plays cello"]


# --- Forgetting


def leave_by_the_queryset(recollection: Recollection) -> None:
    Recollection.objects.filter(pk=recollection.pk).delete()


def leave_by_the_model(recollection: Recollection) -> None:
    recollection.delete()


def leave_by_sql(recollection: Recollection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM memory_recollection WHERE id = %s", [recollection.pk])


def leave_by_the_account(recollection: Recollection) -> None:
    recollection.owner.delete()


@pytest.mark.parametrize("leave", [leave_by_the_queryset, leave_by_the_model, leave_by_sql, leave_by_the_account])
def test_whatever_door_a_recollection_leaves_by_nothing_of_it_stays(alice: User, leave) -> None:  # type: ignore[no-untyped-def]
    leave(read(alice, "My sister Anna plays the cello in Lisbon."))
    assert [model.objects.count() for model in (Entity, Mention, Relation)] == [0, 0, 0]


def test_what_others_told_stays(alice: User) -> None:
    gone = read(alice, "Anna plays the cello.")
    read(alice, "Anna lives in Lisbon.")
    gone.delete()
    assert names(alice) == {"Anna", "Lisbon"}
    assert facts(alice, "Anna") == ["Anna lives in Lisbon"]


def test_a_name_goes_with_the_message_that_told_it(alice: User) -> None:
    gone = read(alice, "Ms Canary plays the cello.")
    read(alice, "Anna lives in Lisbon.")
    graph.merge(the(alice, "Anna"), into=the(alice, "Ms Canary"))
    gone.delete()
    assert names(alice) == {"Anna", "Lisbon"}
    assert not Mention.objects.filter(name__icontains="canary").exists()
    assert the(alice, "Anna").key == "anna"
    read(alice, "Ms Canary plays the viola.")
    assert {"Anna", "Ms Canary"} <= names(alice)


def test_a_spelling_goes_with_the_message_that_told_it(alice: User) -> None:
    gone = read(alice, "Write to CANARY@example.org")
    read(alice, "Write to canary@example.org")
    gone.delete()
    assert names(alice) == {"canary@example.org"}


def test_a_name_the_person_chose_stays_until_nothing_speaks_of_it(alice: User) -> None:
    gone, last = read(alice, "Anna plays the cello."), read(alice, "Anna lives in Lisbon.")
    graph.rename(the(alice, "Anna"), "Annette")
    gone.delete()
    assert names(alice) == {"Annette", "Lisbon"}
    last.delete()
    assert names(alice) == set()


def test_a_mention_taken_away_takes_its_facts(alice: User) -> None:
    read(alice, "Anna plays the cello.")
    read(alice, "Anna lives in Lisbon.")
    Mention.objects.filter(name="cello").delete()
    assert names(alice) == {"Anna", "Lisbon"}
    assert facts(alice, "Anna") == ["Anna lives in Lisbon"]
