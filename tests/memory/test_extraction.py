"""Who reads what is remembered: the rules, or the model when it is asked to, whose word is not believed blindly."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.llm.server import Timeouts
from apps.memory import extraction, graph
from apps.memory.entities import Found
from apps.memory.facts import Reading
from apps.memory.models import Entity, Recollection, Relation
from tests.memory.remembered import recollect
from tests.scripted_model import ScriptedModel

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "Zorblax and I founded the quux ensemble in Vimperk."
ANSWER = {
    "entities": [
        {"name": "Zorblax", "kind": "person"},
        {"name": "quux ensemble", "kind": "organisation"},
        {"name": "Vimperk", "kind": "place"},
    ],
    "facts": [{"subject": "Zorblax", "predicate": "founded", "object": "quux ensemble"}],
}


@pytest.fixture
def model(scripted_model: ScriptedModel, settings: Settings) -> Iterator[ScriptedModel]:
    """The model reads, and says what a test has it say."""
    settings.EXTRACT_WITH_LLM = True
    settings.DEFAULT_MODEL = "verbatim"
    return scripted_model


def answers(model: ScriptedModel, text: str) -> None:
    delta = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
    model.body = b"data: " + json.dumps(delta).encode() + b"\n\ndata: [DONE]\n\n"


def names() -> set[str]:
    return set(Entity.objects.values_list("name", flat=True))


def told() -> set[str]:
    facts = Relation.objects.select_related("subject", "object")
    return {f"{fact.subject.name} {fact.predicate} {fact.object.name}" for fact in facts}


def readers() -> set[str]:
    return set(Recollection.objects.values_list("extractor", flat=True))


def try_again_now() -> None:
    Recollection.objects.update(due_at=timezone.now())


# --- By the rules


def test_the_rules_read_what_is_due_once(alice: User, scripted_model: ScriptedModel) -> None:
    for _ in range(3):
        recollect(alice, "Anna plays the cello.")
    assert [extraction.read_due(2) for _ in range(3)] == [2, 1, 0]
    assert readers() == {graph.RULES}
    assert names() == {"Anna", "cello"}
    assert scripted_model.requests == []


def test_what_is_not_due_waits(alice: User) -> None:
    recollection = recollect(alice, "Anna plays the cello.")
    Recollection.objects.failed([recollection.pk], timezone.now())
    assert extraction.read_due() == 0
    try_again_now()
    assert extraction.read_due() == 1


def test_what_speaks_of_nobody_any_more_is_read_again_all_the_same(alice: User) -> None:
    silent, spoken = recollect(alice, "it rained all day."), recollect(alice, "it rained.")
    assert graph.store(spoken, Reading([Found("Rain", "person")], []), extractor="rules-0")
    assert extraction.read_due() == 2
    assert readers() == {graph.RULES}
    assert names() == set()
    assert Recollection.objects.filter(pk__in=[silent.pk, spoken.pk]).count() == 2


def test_another_extractor_reads_everything_again_and_doubles_nothing(
    alice: User, model: ScriptedModel, settings: Settings
) -> None:
    recollect(alice, "Anna plays the cello.")
    settings.EXTRACT_WITH_LLM = False
    assert extraction.read_due() == 1
    settings.EXTRACT_WITH_LLM = True
    answers(model, json.dumps({"entities": [{"name": "anna", "kind": "person"}, {"name": "cello", "kind": "music"}]}))
    assert extraction.read_due() == 1
    assert (names(), told(), readers()) == ({"Anna", "cello"}, {"Anna plays cello"}, {extraction.MODEL})


# --- By the model


@pytest.mark.parametrize("wrapping", ["{}", "Sure! Here it is:\n```json\n{}\n```\nAnything else?"])
def test_the_model_reads(alice: User, model: ScriptedModel, wrapping: str) -> None:
    recollect(alice, TEXT)
    answers(model, wrapping.replace("{}", json.dumps(ANSWER)))
    assert extraction.read_due() == 1
    assert names() == {"Zorblax", "quux ensemble", "Vimperk"}
    assert told() == {"Zorblax founded quux ensemble"}
    assert readers() == {extraction.MODEL}


def test_it_is_told_the_text_as_data_and_who_wrote_it(alice: User, model: ScriptedModel) -> None:
    recollect(alice, TEXT)
    answers(model, json.dumps(ANSWER))
    extraction.read_due()
    [system, user] = model.chats[0].body["messages"]
    assert system["role"] == "system"
    assert TEXT not in system["content"]
    assert json.loads(user["content"]) == {"writer": "Alice", "message": TEXT}


def test_the_writer_may_be_in_a_fact(alice: User, model: ScriptedModel) -> None:
    recollect(alice, TEXT)
    fact = {"subject": "Alice", "predicate": "founded", "object": "quux ensemble"}
    answers(model, json.dumps({**ANSWER, "facts": [fact]}))
    extraction.read_due()
    assert told() == {"Alice founded quux ensemble"}


def test_what_the_text_does_not_say_is_not_believed(alice: User, model: ScriptedModel) -> None:
    recollect(alice, TEXT)
    invented = [
        {"name": "Mallory", "kind": "person"},
        {"name": "Zorb", "kind": "person"},
        {"name": "Vimperk", "kind": "nonsense"},
        {"name": "Vimperk\0", "kind": "place"},
        {"name": "x" * 500, "kind": "place"},
        {"name": 7, "kind": "place"},
        "Vimperk",
        None,
    ]
    facts = [
        {"subject": "Mallory", "predicate": "founded", "object": "Zorblax"},
        {"subject": "Zorblax", "predicate": "p" * 500, "object": "quux ensemble"},
        {"subject": "Zorblax", "predicate": "", "object": "quux ensemble"},
        {"subject": "Zorblax", "predicate": "is", "object": "zorblax"},
        {"subject": "Zorblax"},
        [],
    ]
    entities = [{"name": "Zorblax", "kind": "person"}, {"name": "quux ensemble", "kind": "organisation"}]
    answers(model, json.dumps({"entities": entities + invented, "facts": facts}))
    assert extraction.read_due() == 1
    assert names() == {"Zorblax", "quux ensemble"}
    assert told() == set()


def test_an_answer_without_end_is_cut(alice: User, model: ScriptedModel) -> None:
    text = " ".join(f"word{number}" for number in range(300))
    recollect(alice, text)
    answers(model, json.dumps({"entities": [{"name": word, "kind": "person"} for word in text.split()]}))
    extraction.read_due()
    assert Entity.objects.count() == 40


@pytest.mark.parametrize(
    "answer", ["", "I cannot do that.", "{", "[]", "{]}", "{" * 60_000 + "}" * 60_000, '{"a":' * 9_000 + "}" * 9_000]
)
def test_what_makes_no_sense_is_asked_again_and_at_last_read_by_the_rules(
    alice: User, model: ScriptedModel, answer: str
) -> None:
    recollect(alice, "Anna plays the cello.")
    answers(model, answer)
    done = []
    for _ in range(extraction.TRIES):
        done.append(extraction.read_due())
        try_again_now()
    assert done == [0, 0, 1]
    assert told() == {"Anna plays cello"}
    assert extraction.read_due() == 0


@pytest.mark.parametrize("fault", ["status-500", "status-429", "drop-1", "onlygarbage", "mute"])
def test_a_model_that_fails_is_asked_later(
    alice: User, model: ScriptedModel, settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(extraction, "TIMEOUTS", Timeouts(connect=1, first_byte=0.2, silence=0.2, total=1))
    recollect(alice, TEXT)
    settings.DEFAULT_MODEL = fault
    assert extraction.read_due() == 0
    assert extraction.read_due() == 0, "not before its time"
    assert readers() == {""}
    settings.DEFAULT_MODEL = "verbatim"
    answers(model, json.dumps(ANSWER))
    try_again_now()
    assert extraction.read_due() == 1
    assert "Zorblax" in names()


def test_without_a_model_server_the_rules_read_in_the_end(
    alice: User, model: ScriptedModel, settings: Settings
) -> None:
    settings.TABBY_HOST = ""
    recollect(alice, "Anna plays the cello.")
    for _ in range(extraction.TRIES):
        extraction.read_due()
        try_again_now()
    assert told() == {"Anna plays cello"}


def test_the_model_is_not_asked_for_much_at_once(alice: User, model: ScriptedModel) -> None:
    for _ in range(5):
        recollect(alice, TEXT)
    answers(model, json.dumps(ANSWER))
    assert extraction.read_due() == extraction.ASKED_AT_ONCE
    assert len(model.chats) == extraction.ASKED_AT_ONCE


def test_what_is_forgotten_while_the_model_reads_leaves_nothing(alice: User, model: ScriptedModel) -> None:
    recollection = recollect(alice, TEXT)
    answers(model, json.dumps(ANSWER))
    stale = Recollection.objects.get(pk=recollection.pk)
    Recollection.objects.all().delete()
    assert not graph.store(stale, graph.by_rules(stale), extractor=extraction.MODEL)
    assert extraction.read_due() == 0
    assert names() == set()
