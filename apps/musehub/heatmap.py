"""A year of studio hours as an SVG: a column for each week, a square for each day, darker where more was recorded.

Pure: hours by day in, markup out. The chart carries classes and no colours, so that the style sheet decides them in
dark and light. It is one image to a screen reader, with a table of the same days as its twin.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache
from typing import NamedTuple

from django.utils.safestring import SafeString, mark_safe

WEEKS = 53
# A day with any time at all is on the first level; these many hours lift it to the second, third and fourth.
THRESHOLDS = (1.0, 2.0, 4.0)
SQUARE, STEP = 11, 14
LEFT, TOP = 30, 18
WIDTH, HEIGHT = LEFT + WEEKS * STEP, TOP + 7 * STEP
# Asked for by number these would be made each time.
_MONTHS, _DAYS = tuple(calendar.month_name), tuple(calendar.day_abbr)
_WEEKDAYS = {0: "Mon", 2: "Wed", 4: "Fri"}


@dataclass(frozen=True)
class Recorded:
    """A day on which something was recorded."""

    day: date
    hours: float

    @property
    def words(self) -> str:
        """How long, as one says it."""
        return in_words(self.hours)


@dataclass(frozen=True)
class Heatmap:
    """The weeks that end with the week of `last`; days after `last` are not drawn."""

    hours: Mapping[date, float]
    last: date

    @cached_property
    def first(self) -> date:
        """The Monday on which the chart begins."""
        return self.last - timedelta(days=self.last.weekday(), weeks=WEEKS - 1)

    @cached_property
    def recorded(self) -> list[Recorded]:
        """The days with any hours, newest first."""
        days = sorted((day for day in self.hours if self.first <= day <= self.last), reverse=True)
        return [Recorded(day, self.hours[day]) for day in days if self.hours[day] > 0]

    @cached_property
    def summary(self) -> str:
        """What the picture says, in a sentence."""
        recorded = self.recorded
        if not recorded:
            return "Nothing was recorded in the last year."
        busiest = max(recorded, key=lambda each: each.hours)
        days = "1 day" if len(recorded) == 1 else f"{len(recorded)} days"
        total = in_words(sum(each.hours for each in recorded))
        return (
            f"{total} recorded on {days} of the last year. The longest day was {_long(busiest.day)}: {busiest.words}."
        )

    def svg(self) -> SafeString:
        """The chart; every value in it is a number or a date of ours."""
        parts = "".join((*self._months(), *self._weekdays(), *self._squares()))
        return mark_safe(  # noqa: S308
            f'<svg class="heatmap" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
            f' aria-label="{self.summary}">{parts}</svg>'
        )

    def table_rows(self) -> SafeString:
        """The days with any hours as rows of a table: day, how long."""
        rows = (
            f"<tr><td>{_DAYS[each.day.weekday()]} {_long(each.day)}</td><td>{each.words}</td></tr>"
            for each in self.recorded
        )
        return mark_safe("".join(rows))  # noqa: S308

    def _squares(self) -> Iterator[str]:
        for square in _squares(self.first, self.last):
            hours = self.hours.get(square.day, 0.0)
            said = in_words(hours) if hours > 0 else "Nothing"
            yield f'<rect class="level-{level(hours)}"{square.place}<title>{said}{square.on_day}</title></rect>'

    def _months(self) -> Iterator[str]:
        """A label over the week in which a month begins; one that would touch the next is left out."""
        for index, square in enumerate(_squares(self.first, self.last)):
            if square.day.day == 1 and index // 7 < WEEKS - 1:
                yield f'<text x="{LEFT + index // 7 * STEP}" y="{TOP - 7}">{square.day:%b}</text>'

    @staticmethod
    def _weekdays() -> Iterator[str]:
        return (f'<text x="0" y="{TOP + day * STEP + 9}">{name}</text>' for day, name in _WEEKDAYS.items())


class _Square(NamedTuple):
    """What of a day's square is the same for every repo."""

    day: date
    place: str
    on_day: str


@lru_cache(maxsize=2)
def _squares(first: date, last: date) -> tuple[_Square, ...]:
    """A square a day; the same all day long."""
    days = (first + timedelta(days=index) for index in range((last - first).days + 1))
    return tuple(
        _Square(
            day,
            f' x="{LEFT + index // 7 * STEP}" y="{TOP + index % 7 * STEP}" width="{SQUARE}" height="{SQUARE}" rx="2">',
            f" on {_long(day)}",
        )
        for index, day in enumerate(days)
    )


def level(hours: float) -> int:
    """How dark a day's square is, 0 to 4."""
    return 0 if hours <= 0 else 1 + sum(hours >= threshold for threshold in THRESHOLDS)


def in_words(hours: float) -> str:
    """`3 h 20 min`, `45 min`; anything shorter than a minute is that."""
    minutes = round(hours * 60)
    if minutes < 1:
        return "under 1 min"
    whole, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{whole} h" if whole else "", f"{rest} min" if rest else "") if part)


def _long(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month]} {day.year}"
