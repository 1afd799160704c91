"""The picture of a graph: whole, honest about what it leaves out, inert whatever names are, and the same each time."""

from __future__ import annotations

import random
import time
import xml.etree.ElementTree as ET

import pytest

from apps.accounts.models import User
from apps.memory import graph
from apps.memory.drawing import SHAPES, Drawing, draw, legend
from apps.memory.graph import Whole
from apps.memory.models import Entity, Relation
from tests.memory.remembered import recollect

SVG = "{http://www.w3.org/2000/svg}"


def page_of(entity_id: int) -> str:
    return f"/memory/graph/{entity_id}"


def picture(drawing: Drawing) -> ET.Element:
    return ET.fromstring(drawing.svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def large(entities: int, relations: int) -> Whole:
    """Rows that were never stored."""
    dice = random.Random(3)
    kinds = list(Entity.Kind.values)
    made = [Entity(pk=pk, name=f"Name {pk}", kind=kinds[pk % len(kinds)]) for pk in range(1, entities + 1)]
    ends = [dice.sample(made, 2) for _ in range(relations)]
    facts = [Relation(pk=pk, subject=a, predicate="knows", object=b) for pk, (a, b) in enumerate(ends)]
    return Whole(made, facts, entities, relations)


@pytest.fixture
def drawing(alice: User) -> Drawing:
    graph.read(recollect(alice, "My sister Anna lives in Lisbon and plays the cello. Oslo is far."))
    return draw(graph.whole(alice), page_of)


def test_each_entity_is_a_link_with_a_name_and_each_fact_a_line(drawing: Drawing) -> None:
    root = picture(drawing)
    links = {link.findtext(f"{SVG}text"): link for link in root.iter(f"{SVG}a")}
    assert set(links) == {"Alice", "Anna", "Lisbon", "cello", "Oslo"}
    anna = Entity.objects.get(name="Anna")
    assert links["Anna"].get("href") == page_of(anna.pk)
    assert links["Anna"].findtext(f"{SVG}title") == "Anna, person: 1 mention"
    titles = {line.findtext(f"{SVG}title") for line in root.iter(f"{SVG}g") if line.get("class") == "line"}
    assert titles == {"Anna is sister of Alice", "Anna lives in Lisbon", "Anna plays cello"}


def test_it_says_what_it_shows(drawing: Drawing) -> None:
    root = picture(drawing)
    assert root.get("aria-labelledby") == "graph-title graph-summary"
    assert root.findtext(f"{SVG}desc") == drawing.summary == "5 names, and 3 facts that join them."


def test_it_says_what_it_leaves_out(drawing: Drawing) -> None:
    cut = draw(drawing.whole, page_of, limit=2)
    assert (cut.drawn, cut.left_out) == (2, 3)
    assert cut.summary.startswith("The 2 most mentioned of 5 names")
    assert len(list(picture(cut).iter(f"{SVG}a"))) == 2


@pytest.mark.django_db
def test_an_empty_graph_is_a_picture_too(alice: User) -> None:
    empty = draw(graph.whole(alice), page_of)
    assert empty.summary == "Nobody and nothing was spoken of yet."
    assert not list(picture(empty).iter(f"{SVG}a"))


@pytest.mark.django_db
def test_names_are_inert_and_there_is_neither_style_nor_script(alice: User) -> None:
    evil = '<script>alert("&\'")</script>'
    graph.add_fact(recollect(alice, "…"), evil, evil[:99], "Anna")
    drawing = draw(graph.whole(alice), page_of)
    assert "<script" not in drawing.svg
    assert not any({"style", "onclick", "onload"} & set(element.attrib) for element in picture(drawing).iter())
    assert any(evil in (element.text or "") for element in picture(drawing).iter(f"{SVG}title"))


def test_everything_stands_within_the_picture() -> None:
    root = picture(draw(large(120, 60), page_of))
    _, _, width, height = (float(number) for number in str(root.get("viewBox")).split())
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", -1)) <= width
        assert 0 <= float(text.get("y", -1)) <= height


def test_the_same_graph_is_the_same_picture() -> None:
    assert draw(large(60, 90), page_of).svg == draw(large(60, 90), page_of).svg


def test_each_kind_has_a_shape_of_its_own() -> None:
    assert set(SHAPES) == set(Entity.Kind.values)
    assert len(set(SHAPES.values())) == len(SHAPES)
    assert legend().count("<li") == len(SHAPES)


def test_a_full_picture_is_drawn_in_time() -> None:
    whole = large(400, 800)
    draw(large(5, 5), page_of).svg  # noqa: B018 -- what is imported late is not what is measured
    begun = time.process_time()
    drawing = draw(whole, page_of)
    assert drawing.svg
    assert drawing.drawn == 150
    assert time.process_time() - begun < 0.6
