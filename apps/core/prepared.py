"""A query that is put together once and asked again and again with other values.

Django puts a query together, and into SQL, each time it is asked; for a row that is found by a unique key that takes
ten times as long as finding it. Here it is done at the first time. A `Prepared` is declared like any query, with
`Slot`s where values will stand:

    BY_DIGEST = Prepared(lambda: Token.objects.select_related("user").filter(digest=Slot("digest", CharField())))
    token = BY_DIGEST.one(digest="…")

It does what Django's own iterables do, with the same parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import connections
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.query import get_related_populators

M = TypeVar("M", bound=Model)
_SMALLEST, _BIGGEST = -(2**63), 2**63 - 1


class Slot(Expression):
    """Where a value will stand, by its name; the field says how the database takes it."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """A parameter: the slot itself, until it is asked."""
        return "%s", [self]

    def filled(self, values: Mapping[str, object], connection: Any) -> object:
        """The value, as this connection takes it."""
        return self.output_field.get_db_prep_value(values[self.name], connection, prepared=False)


class Prepared(Generic[M]):
    """A query for models, which `build` builds at its first use; any thread may ask it."""

    def __init__(self, build: Callable[[], QuerySet[M]]) -> None:
        self._build = build

    def one(self, **values: object) -> M | None:
        """The first row with these values in the slots, if there is any."""
        return next(iter(self.all(**values)), None)

    def all(self, **values: object) -> list[M]:
        """The rows with these values in the slots."""
        models = self._models
        return [models.instance(row) for row in models.plan.rows(values)]

    @cached_property
    def _models(self) -> _Models[M]:
        return _Models(_Plan(self._build()))


class PreparedValues:
    """The same for `values_list`, also of what is annotated."""

    def __init__(self, build: Callable[[], QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._build = build

    def all(self, **values: object) -> list[tuple[Any, ...]]:
        """The rows with these values in the slots, in the order of their columns in SQL: annotations are last."""
        return [tuple(row) for row in self._plan.rows(values)]

    @cached_property
    def _plan(self) -> _Plan:
        return _Plan(self._build())


class _Plan:
    """A query in SQL, and how its columns become Python's values."""

    def __init__(self, queryset: QuerySet[Any, Any]) -> None:
        self.using = queryset.db
        compiler: Any = queryset.query.get_compiler(using=self.using)
        self._sql, self._parameters = compiler.as_sql()
        self.columns, self.about = compiler.select, compiler.klass_info
        self._converters = [*compiler.get_converters([column[0] for column in self.columns]).items()]

    def rows(self, values: Mapping[str, object]) -> Iterator[list[Any]]:
        """What the database answers with these values in the slots."""
        connection = connections[self.using]
        filled: list[Any] = [
            each.filled(values, connection) if isinstance(each, Slot) else each for each in self._parameters
        ]
        if any(isinstance(value, int) and not _SMALLEST <= value <= _BIGGEST for value in filled):
            return  # no column holds such a number, and no database takes it
        with connection.cursor() as cursor:
            cursor.execute(self._sql, filled)
            found = cursor.fetchall()
        for row in map(list, found):
            for place, (converters, expression) in self._converters:
                for convert in converters:
                    row[place] = convert(row[place], expression, connection)
            yield row


class _Models(Generic[M]):
    """How the rows of a plan become models."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan
        self._model: type[M] = plan.about["model"]
        first, last = plan.about["select_fields"][0], plan.about["select_fields"][-1]
        self._own = slice(first, last + 1)
        self._names = [column[0].target.attname for column in plan.columns[self._own]]
        self._related = get_related_populators(plan.about, plan.columns, plan.using)  # type: ignore[call-arg]  # Django 6's

    def instance(self, row: list[Any]) -> M:
        """The row as a model, with those that were joined to it."""
        instance = self._model.from_db(self.plan.using, self._names, row[self._own])
        for related in self._related:
            related.populate(row, instance)
        return instance
