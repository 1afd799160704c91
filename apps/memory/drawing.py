"""The graph as an SVG: a shape for each entity, larger the more it is spoken of, a line where facts join two.

Pure, and the same for the same graph: rows in, markup out. Kinds differ in shape as well as in class, each shape is a
link to its entity, and what was left out is said. The style sheet (`memory-graph.css`) alone decides about colours.
What no fact joins to anything stands in rows beneath.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.memory.graph import Whole
from apps.memory.models import Entity, Relation

LIMIT = 150
WIDTH, HEIGHT, MARGIN = 960, 640, 60
ROW, COLUMNS = 34, 4
MAX_RADIUS = 20
LABEL_LENGTH = 22
# With more lines than this, words on them would hide one another; each line tells its facts when pointed at.
LABELLED_LINES = 30
TOLD_ON_A_LINE = 5
SEED = 7
ITERATIONS = 60
# Holds together, unseen, what no fact joins; no entity has this id.
_HUB = 0
# A kind's shape: corners, and by how many degrees it is turned; none is a circle.
SHAPES: dict[str, tuple[int, int]] = {
    Entity.Kind.PERSON: (0, 0),
    Entity.Kind.PLACE: (4, 0),
    Entity.Kind.ORGANISATION: (4, 45),
    Entity.Kind.EMAIL: (3, 90),
    Entity.Kind.LINK: (6, 0),
    Entity.Kind.DATE: (3, -90),
    Entity.Kind.MUSIC: (5, -90),
}


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the picture, in its units."""

    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """A picture of the most spoken of entities of a graph. `url_of` gives the page of an entity."""

    whole: Whole
    url_of: Callable[[int], str]
    limit: int = LIMIT

    @cached_property
    def entities(self) -> list[Entity]:
        """Those that are drawn."""
        return self.whole.entities[: self.limit]

    @property
    def drawn(self) -> int:
        """How many they are."""
        return len(self.entities)

    @property
    def left_out(self) -> int:
        """How many are not drawn."""
        return self.whole.entities_total - self.drawn

    @cached_property
    def lines(self) -> dict[tuple[int, int], list[Relation]]:
        """The facts that are drawn, by the two entities each joins, whichever way."""
        drawn = {entity.pk for entity in self.entities}
        lines: dict[tuple[int, int], list[Relation]] = defaultdict(list)
        for fact in self.whole.relations:
            if fact.subject_id in drawn and fact.object_id in drawn:
                first, second = sorted((fact.subject_id, fact.object_id))
                lines[first, second].append(fact)
        return dict(lines)

    @cached_property
    def summary(self) -> str:
        """What the picture shows, and what it leaves out, in a sentence."""
        if not self.entities:
            return "Nobody and nothing was spoken of yet."
        facts = _count(sum(map(len, self.lines.values())), "fact", "facts")
        if self.left_out:
            return f"The {self.drawn} most mentioned of {self.whole.entities_total} names, and {facts} that join them."
        return f"{_count(self.drawn, 'name', 'names')}, and {facts} that join them."

    @cached_property
    def svg(self) -> SafeString:
        """The picture."""
        joined = {end for line in self.lines for end in line}
        loose = [entity for entity in self.entities if entity.pk not in joined]
        top = HEIGHT if joined else MARGIN
        points = _layout(self.lines) | dict(zip((entity.pk for entity in loose), _rows(top), strict=False))
        height = top + ROW * math.ceil(len(loose) / COLUMNS) + (ROW if loose else 0)
        return format_html(
            '<svg class="graph" viewBox="0 0 {} {}" role="group" aria-labelledby="graph-title graph-summary">'
            '<title id="graph-title">What was spoken of, and what joins it</title><desc id="graph-summary">{}</desc>'
            '<g class="lines">{}</g><g class="nodes">{}</g></svg>',
            WIDTH,
            height,
            self.summary,
            _joined(self._line(line, facts, points) for line, facts in self.lines.items()),
            _joined(self._node(entity, points[entity.pk], is_loose=entity in loose) for entity in self.entities),
        )

    def _line(self, line: tuple[int, int], facts: Sequence[Relation], points: Mapping[int, Point]) -> SafeString:
        start, end = (points[pk] for pk in line)
        told = [f"{fact.subject.name} {fact.predicate} {fact.object.name}" for fact in facts]
        more = [f"and {len(told) - TOLD_ON_A_LINE} more"] if len(told) > TOLD_ON_A_LINE else []
        words = SafeString("")
        if len(self.lines) <= LABELLED_LINES:
            middle = Point((start.x + end.x) // 2, (start.y + end.y) // 2 - 4)
            words = format_html('<text x="{}" y="{}">{}</text>', middle.x, middle.y, _short(facts[0].predicate))
        return format_html(
            '<g class="line"><title>{}</title><line x1="{}" y1="{}" x2="{}" y2="{}"/>{}</g>',
            "; ".join(dict.fromkeys(told[:TOLD_ON_A_LINE] + more)),
            *(start.x, start.y, end.x, end.y),
            words,
        )

    def _node(self, entity: Entity, at: Point, *, is_loose: bool) -> SafeString:
        mentions = getattr(entity, "mention_count", 1)
        size = min(MAX_RADIUS, round(6 + 2 * math.sqrt(mentions)))
        label = Point(at.x + size + 6, at.y + 4) if is_loose else Point(at.x, at.y + size + 14)
        return format_html(
            '<a class="node kind-{}{}" href="{}"><title>{}, {}: {}</title>{}<text x="{}" y="{}">{}</text></a>',
            *(entity.kind, " loose" if is_loose else "", self.url_of(entity.pk)),
            *(entity.name, entity.get_kind_display().lower(), _count(mentions, "mention", "mentions")),
            shape(entity.kind, at, size),
            *(label.x, label.y, _short(entity.name)),
        )


def draw(whole: Whole, url_of: Callable[[int], str], *, limit: int = LIMIT) -> Drawing:
    """The most mentioned `limit` of its entities, and the facts among them."""
    return Drawing(whole, url_of, limit)


def legend() -> SafeString:
    """The kinds with their shapes, as items of a list."""
    items = ((kind.value, shape(kind.value, Point(9, 9), 8), kind.label) for kind in Entity.Kind)
    return format_html_join(
        "", '<li class="node kind-{}"><svg viewBox="0 0 18 18" aria-hidden="true">{}</svg> {}</li>', items
    )


def shape(kind: str, at: Point, size: int) -> SafeString:
    """The outline of a kind around a point."""
    corners, turn = SHAPES[kind]
    if not corners:
        return format_html('<circle cx="{}" cy="{}" r="{}"/>', at.x, at.y, size)
    angles = (math.radians(turn + number * 360 / corners) for number in range(corners))
    points = " ".join(f"{at.x + size * math.cos(angle):.1f},{at.y + size * math.sin(angle):.1f}" for angle in angles)
    return format_html('<polygon points="{}"/>', points)


def _layout(lines: Iterable[tuple[int, int]]) -> dict[int, Point]:
    """Where each entity that a line ends at stands: pushed away from all, drawn to those it is joined with."""
    import networkx as nx  # which few requests need, and is large

    graph: nx.Graph[int] = nx.Graph(sorted(lines))
    if not graph:
        return {}
    for group in sorted(nx.connected_components(graph), key=min):
        graph.add_edge(_HUB, max(sorted(group), key=graph.degree), weight=0.3)
    places = nx.spring_layout(graph, k=2.2 / math.sqrt(len(graph)), seed=SEED, iterations=ITERATIONS)
    del places[_HUB]
    return _fitted({pk: (float(x), float(y)) for pk, (x, y) in places.items()})


def _fitted(places: Mapping[int, tuple[float, float]]) -> dict[int, Point]:
    """The same, stretched to fill the picture."""
    xs, ys = _stretch([x for x, _ in places.values()], WIDTH), _stretch([y for _, y in places.values()], HEIGHT)
    return {pk: Point(x, y) for pk, x, y in zip(places, xs, ys, strict=True)}


def _stretch(values: Sequence[float], length: int) -> list[int]:
    low, span = min(values), max(values) - min(values)
    if not span:
        return [length // 2 for _ in values]
    return [round(MARGIN + (value - low) / span * (length - 2 * MARGIN)) for value in values]


def _rows(top: int) -> Iterator[Point]:
    """Places beneath the picture, from left to right, row by row."""
    number = 0
    while True:
        row, column = divmod(number, COLUMNS)
        yield Point(MARGIN // 2 + column * (WIDTH - MARGIN // 2) // COLUMNS, top + ROW * row + ROW // 2)
        number += 1


def _joined(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))


def _short(name: str) -> str:
    return name if len(name) <= LABEL_LENGTH else f"{name[: LABEL_LENGTH - 1]}…"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
