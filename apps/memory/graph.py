"""The face of the graph: who and what was spoken of, and what was said about them, each with where it was said.

Promises: what is stored stays stored and is stored once, whoever writes at the same time; nobody's entities ever meet
another person's. Every writer, and whoever forgets, takes the owner's row first (`graph_triggers.py` for what goes by
other doors); a writer waits for nothing else while it holds it, least of all for a recollection.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.accounts.models import User
from apps.core.errors import InvalidInput, NotFound
from apps.memory.entities import ASSISTANT, PERSON, Found
from apps.memory.errors import NameTaken
from apps.memory.facts import Fact, Reading, read_text
from apps.memory.models import Entity, Mention, Recollection, Relation, RelationQuerySet
from apps.memory.names import NAME_MAX, PREDICATE_MAX, fold_name, is_storable

if TYPE_CHECKING:
    import networkx as nx

# What reads by the rules as they are now; another number has everything read again.
RULES = "rules-2"
MAX_HOPS = 4
MAX_NEIGHBOURS = 500
# Of a question longer than this, the beginning is asked about.
QUESTION_WORDS = 100
LONGEST_NAME = 4  # words
# So many of the newest facts about those whom a question names are looked at.
CANDIDATES = 200
# A recollection whose row somebody else holds is tried again so often, this many seconds apart.
TRIES = 40
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class KnownFact:
    """A fact, and where it was said."""

    relation_id: int
    subject_id: int
    object_id: int
    subject: str
    predicate: str
    object: str
    recollection_id: int
    source: str
    thread: str
    speaker: str
    said_at: datetime

    @property
    def sentence(self) -> str:
        """As one says it: `Anna plays cello`."""
        return f"{self.subject} {self.predicate} {self.object}"


@dataclass(frozen=True)
class Whole:
    """The graph of one person, as far as it was asked for: its most spoken of entities and the facts among them."""

    entities: list[Entity]
    relations: list[Relation]
    entities_total: int
    relations_total: int


# --- Writing


def read(recollection: Recollection) -> bool:
    """Store by the rules what it speaks of, once however often it is read; False when it is gone or held just now."""
    return store(recollection, by_rules(recollection), extractor=RULES)


def by_rules(recollection: Recollection) -> Reading:
    """What the rules find in it; nobody is meant by what the assistant calls "I"."""
    speaker = "" if recollection.speaker == ASSISTANT else recollection.speaker
    return read_text(recollection.text, speaker=speaker)


def store(recollection: Recollection, reading: Reading, *, extractor: str = "") -> bool:
    """Keep what was read of it, in one transaction with the mark of who read it, if any. What the same reader read by
    other rules or another prompt makes way for it.

    False when the recollection is gone, or held by somebody who may be about to forget it.
    """
    reading = _storable(reading)
    with transaction.atomic():
        if not _hold(recollection):
            return False
        entities = _entities(recollection.owner_id, _all_of(reading))
        _mention(recollection, entities, _all_of(reading))
        if extractor and _reader(extractor) == _reader(recollection.extractor):
            _withdraw(recollection, entities)
        _relate(recollection, entities, reading.facts)
        if extractor:
            Recollection.objects.filter(pk=recollection.pk).read_by(extractor)
    return True


def add_fact(
    recollection: Recollection,
    subject: str,
    predicate: str,
    object: str,  # noqa: A002 -- that is what it is called
    *,
    subject_kind: str = PERSON,
    object_kind: str = PERSON,
) -> Relation:
    """Store what the recollection tells; once, however often it is added. Raises NotFound when it is forgotten."""
    fact = Fact(Found(subject, subject_kind), " ".join(predicate.split()), Found(object, object_kind))
    _check(fact)
    for _ in range(TRIES):
        if store(recollection, Reading([], [fact])):
            return _stored(recollection, fact)
        if not Recollection.objects.filter(pk=recollection.pk).exists():
            break
        time.sleep(PAUSE_SECONDS)
    raise NotFound


def rename(entity: Entity, name: str) -> None:
    """Call it so from now on. Raises InvalidInput, NotFound, and NameTaken where another one has that name."""
    name = " ".join(name.split())
    if not is_storable(name):
        raise InvalidInput(errors={"name": [f"A name has 1 to {NAME_MAX} characters."]})
    with transaction.atomic():
        _hold_owner(entity.owner_id)
        _still_there(entity)
        holder = Entity.objects.called(entity.owner_id, [name]).get(fold_name(name))
        if holder and holder.pk != entity.pk:
            raise NameTaken(holder.pk)
        entity.rename(name)


def merge(entity: Entity, into: Entity) -> None:
    """Both are one: what is known of `entity` is known of `into`, and so is what will be said of it by its names.

    Raises InvalidInput where they are one already, NotFound where one is gone or they are of two people.
    """
    if entity.pk == into.pk:
        raise InvalidInput(errors={"merge_into": ["That is the same one."]})
    with transaction.atomic():
        _hold_owner(into.owner_id)
        if entity.owner_id != into.owner_id:
            raise NotFound
        _still_there(entity)
        _still_there(into)
        into.absorb(entity)


def delete(entity: Entity) -> None:
    """Forget it with all that was said about it. What is said later may bring its name back."""
    with transaction.atomic():
        _hold_owner(entity.owner_id)
        Entity.objects.filter(pk=entity.pk, owner_id=entity.owner_id).delete()


def hold_owners(ids: Collection[int] | QuerySet[Any, Any]) -> None:
    """Wait until nobody else writes these persons' graphs; for the rest of the transaction nobody will. The ids may be
    a query."""
    list(User.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk"))


def _hold_owner(owner_id: int) -> None:
    hold_owners([owner_id])


def _hold(recollection: Recollection) -> bool:
    """Hold the owner, and the recollection where it can be had at once: waiting for it could be for ever."""
    _hold_owner(recollection.owner_id)
    free = Recollection.objects.select_for_update(no_key=True, skip_locked=True)
    return bool(free.filter(pk=recollection.pk, owner_id=recollection.owner_id).values_list("pk"))


def _still_there(entity: Entity) -> None:
    if not Entity.objects.filter(pk=entity.pk, owner_id=entity.owner_id).exists():
        raise NotFound


def _check(fact: Fact) -> None:
    ends = {"subject": fact.subject, "object": fact.object}
    errors = {end: ["That is no name."] for end, found in ends.items() if not is_storable(found.name)}
    errors |= {end: ["There is no such kind."] for end, found in ends.items() if found.kind not in Entity.Kind.values}
    if not fact.predicate.isprintable() or not 0 < len(fact.predicate) <= PREDICATE_MAX:
        errors["predicate"] = [f"A predicate has 1 to {PREDICATE_MAX} characters."]
    if errors:
        raise InvalidInput(errors=errors)


def _storable(reading: Reading) -> Reading:
    """What of it can be kept: whoever says "I" may have a name that no entity can have."""
    facts = [fact for fact in reading.facts if is_storable(fact.subject.name) and is_storable(fact.object.name)]
    return Reading([found for found in reading.entities if is_storable(found.name)], facts)


def _all_of(reading: Reading) -> list[Found]:
    """Its entities, and those at the ends of its facts; one for a name."""
    ends = (end for fact in reading.facts for end in (fact.subject, fact.object))
    by_key: dict[str, Found] = {}
    for found in (*reading.entities, *ends):
        by_key.setdefault(fold_name(found.name), found)
    return list(by_key.values())


def _entities(owner_id: int, found: Collection[Found]) -> dict[str, Entity]:
    """By folded name; those that were never spoken of are made."""
    known = Entity.objects.called(owner_id, [each.name for each in found])
    new = [
        Entity(owner_id=owner_id, name=each.name, key=key, kind=each.kind)
        for each in found
        if (key := fold_name(each.name)) not in known
    ]
    Entity.objects.bulk_create(new)
    return known | {entity.key: entity for entity in new}


def _mention(recollection: Recollection, entities: dict[str, Entity], found: Iterable[Found]) -> None:
    mentions = [
        Mention(
            owner_id=recollection.owner_id, entity=entities[key], recollection=recollection, name=each.name, key=key
        )
        for each in found
        for key in [fold_name(each.name)]
    ]
    Mention.objects.bulk_create(mentions, ignore_conflicts=True)


def _relate(recollection: Recollection, entities: dict[str, Entity], facts: Iterable[Fact]) -> None:
    ends = ((fact, entities[fold_name(fact.subject.name)], entities[fold_name(fact.object.name)]) for fact in facts)
    relations = [
        Relation(
            owner_id=subject.owner_id, subject=subject, predicate=fact.predicate, object=obj, recollection=recollection
        )
        for fact, subject, obj in ends
        if subject.pk != obj.pk
    ]
    Relation.objects.bulk_create(relations, ignore_conflicts=True)


def _reader(extractor: str) -> str:
    """Without its number."""
    return extractor.partition("-")[0]


def _withdraw(recollection: Recollection, found: Mapping[str, Entity]) -> None:
    """Take away whom an earlier reading found and this one did not, with what it told of them, unless the person named
    them. Other facts stay: somebody may have added them."""
    gone = recollection.mentions.exclude(key__in=found).filter(entity__is_renamed=False)
    kept = {entity.pk for entity in found.values()}
    unfounded = set(gone.values_list("entity_id", flat=True)) - kept
    recollection.relations.filter(Q(subject__in=unfounded) | Q(object__in=unfounded)).delete()
    gone.delete()


def _stored(recollection: Recollection, fact: Fact) -> Relation:
    names = (fact.subject.name, fact.object.name)
    called = Entity.objects.called(recollection.owner_id, names)
    subject, obj = (called[fold_name(name)] for name in names)
    if subject.pk == obj.pk:
        raise InvalidInput(errors={"object": ["A fact is about two different things."]})
    return recollection.relations.get(subject=subject, predicate=fact.predicate, object=obj)


# --- Asking


def related(user_id: int, entity_id: int, hops: int = 1) -> nx.MultiDiGraph[int]:
    """What is at most `hops` facts away: entity ids with `name`, `kind` and `hop`, joined by facts whose key is the
    relation's id, with `predicate` and `recollection_id`. Empty where the entity is not this person's. The nearest
    `MAX_NEIGHBOURS`, however many there are.
    """
    import networkx as nx  # which few requests need, and is large

    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
    _add_nodes(graph, user_id, [entity_id], hop=0)
    frontier = set(graph)
    for hop in range(1, min(hops, MAX_HOPS) + 1):
        frontier = _add_neighbours(graph, user_id, frontier, hop)
    return graph


def _add_neighbours(graph: nx.MultiDiGraph[int], user_id: int, frontier: set[int], hop: int) -> set[int]:
    """Go one fact further from these; those that are new."""
    theirs = Relation.objects.about(user_id, frontier).order_by("-pk")[: 4 * MAX_NEIGHBOURS]
    relations = list(theirs) if frontier else []
    ends = dict.fromkeys(end for relation in relations for end in (relation.subject_id, relation.object_id))
    new = [end for end in ends if end not in graph][: MAX_NEIGHBOURS - len(graph)]
    _add_nodes(graph, user_id, new, hop=hop)
    for each in relations:
        if each.subject_id in graph and each.object_id in graph:
            told = {"predicate": each.predicate, "recollection_id": each.recollection_id}
            graph.add_edge(each.subject_id, each.object_id, key=each.pk, **told)
    return set(new)


def _add_nodes(graph: nx.MultiDiGraph[int], user_id: int, ids: Collection[int], *, hop: int) -> None:
    for entity in Entity.objects.filter(owner_id=user_id, pk__in=ids):
        graph.add_node(entity.pk, name=entity.name, kind=entity.kind, hop=hop)


def whole(user: User, *, entities: int = 500, relations: int = 2000) -> Whole:
    """The graph of one person: the most spoken of entities, with `mention_count`, and the newest facts among them."""
    theirs, facts = Entity.objects.visible_to(user), Relation.objects.visible_to(user)
    shown = list(theirs.by_mentions()[:entities])
    ids = [entity.pk for entity in shown]
    among = facts.filter(subject_id__in=ids, object_id__in=ids).newest_first()
    return Whole(
        entities=shown,
        relations=list(among.select_related("subject", "object", "recollection")[:relations]),
        entities_total=theirs.count(),
        relations_total=facts.count(),
    )


def facts_of(user_id: int, entity_id: int, limit: int = 100) -> list[KnownFact]:
    """What was said about one entity, the newest first; the same said twice is there twice, each with its source."""
    relations = Relation.objects.about(user_id, [entity_id]).newest_first()
    return list(_known(relations[:limit]))


def facts_about(user_id: int, text: str, limit: int = 10) -> list[KnownFact]:
    """Facts that a question calls for: about those whom it names, and about its asker where it uses their predicate.

    So "Where do I live?" finds where, and "Where does my sister live?" finds who that is and where she lives. Those
    that say most of the question's words first, then the newest; the same fact once, as it was said last.
    """
    question = _Question(text)
    named = Entity.objects.ids_called(user_id, question.names())
    asker = _asker(user_id) - named if question.is_about_asker else set()
    told = dict.fromkeys([*_newest(user_id, named), *_newest(user_id, asker)])
    facts = [fact for fact in told if question.asks_for(fact, named)]
    kin = {fact.subject_id for fact in facts if asker and _KIN.match(fact.predicate)} - named - asker
    facts = list(dict.fromkeys([*facts, *_newest(user_id, kin)]))
    facts.sort(key=lambda fact: (question.overlap(fact), fact.said_at), reverse=True)
    return list({fact.sentence: fact for fact in reversed(facts)}.values())[::-1][:limit]


_WORD = re.compile(r"[^\s,;:!?()\[\]\"\u201c\u201d]+")
_FIRST_PERSON = frozenset({"i", "me", "my", "mine", "we", "us", "our", "i'm", "i've", "i'd"})
_KIN = re.compile(r"is [\w-]+ of\Z")
# What is alike in `live`, `lives` and `lived`.
_STEM_LENGTH = 4
_EMPTY_WORDS = frozenset(
    {"is", "was", "in", "on", "at", "of", "to", "a", "the", "has", "from", "does", "did", "can", "be"}
)


class _Question:
    """What a question names, and which predicates it uses."""

    def __init__(self, text: str) -> None:
        bare = (word.strip(".'*_`<>").removesuffix("'s") for word in _words_of(text))
        self.words = [word for word in bare if word]
        self.stems = {word[:_STEM_LENGTH] for word in self.words if word not in _EMPTY_WORDS}
        self.is_about_asker = not _FIRST_PERSON.isdisjoint(self.words)

    def names(self) -> Iterator[str]:
        """Every run of a few words: one of them may be a name."""
        for start in range(len(self.words)):
            for end in range(start + 1, min(start + LONGEST_NAME, len(self.words)) + 1):
                yield " ".join(self.words[start:end])

    def overlap(self, fact: KnownFact) -> int:
        """How many words of its predicate the question has."""
        return len({word[:_STEM_LENGTH] for word in fact.predicate.split() if word not in _EMPTY_WORDS} & self.stems)

    def asks_for(self, fact: KnownFact, named: Collection[int]) -> bool:
        """Whether it is about somebody named, or says what the question uses."""
        return fact.subject_id in named or fact.object_id in named or self.overlap(fact) > 0


def _words_of(text: str) -> list[str]:
    """The first words, folded; no more of the text is looked at than they may take."""
    return _WORD.findall(fold_name(text[: QUESTION_WORDS * NAME_MAX]).replace("\u2019", "'"))[:QUESTION_WORDS]


def _asker(user_id: int) -> set[int]:
    """The entity that stands for the person themselves, if there is one."""
    names = User.objects.filter(pk=user_id).values_list("display_name", flat=True)
    return Entity.objects.ids_called(user_id, names)


def _newest(user_id: int, entities: Collection[int]) -> list[KnownFact]:
    """The newest facts that begin, and those that end, with one of these entities."""
    # First which they are, which an index tells, then what they say.
    newest = Relation.objects.newest_ids(user_id, entities, CANDIDATES)
    return list(_known(Relation.objects.filter(pk__in=newest).order_by("-pk"))) if newest else []


def _known(relations: RelationQuerySet) -> Iterator[KnownFact]:
    of_entities = ("subject_id", "object_id", "subject__name", "predicate", "object__name")
    of_source = ("source", "thread", "speaker", "said_at")
    fields = ("pk", *of_entities, "recollection_id", *(f"recollection__{field}" for field in of_source))
    return (KnownFact(*row) for row in relations.values_list(*fields))
