"""Memory for operators: to look after and to delete from, for whoever asks them to. Nobody writes memories for others.

Deleting here is forgetting: all that was made of a memory goes with it, and the log keeps no word of it.
"""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator

from apps.core.errors import NotFound
from apps.memory import graph, recall
from apps.memory.models import Entity, ForgottenVector, MemorySetting, Recollection, Relation


class _LookOrDelete(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """What belongs to a person, and only what they say makes or changes."""

    list_select_related = ["owner"]

    @admin.display(description="owner", ordering="owner__email")
    def owner_email(self, row: Recollection | Entity | Relation | MemorySetting) -> str:
        """Whose it is."""
        return row.owner.email

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False


@admin.register(Recollection)
class RecollectionAdmin(_LookOrDelete):
    """What is remembered, of whom and from where."""

    list_display = ["id", "owner_email", "speaker", "beginning", "said_at", "has_vector"]
    list_filter = ["said_at", "embedder", "extractor"]
    search_fields = ["text", "speaker", "owner__email", "source", "thread"]
    date_hierarchy = "said_at"
    fields = readonly_fields = (
        "owner_email",
        "speaker",
        "text",
        "source",
        "thread",
        "said_at",
        "created_at",
        "embedder",
        "extractor",
        "attempts",
        "due_at",
    )

    @admin.display(description="text")
    def beginning(self, recollection: Recollection) -> str:
        """As much as a list has room for."""
        return Truncator(recollection.text).chars(80)

    @admin.display(description="vector", boolean=True, ordering="embedder")
    def has_vector(self, recollection: Recollection) -> bool:
        """Whether it can be found by its meaning yet."""
        return bool(recollection.embedder)

    def delete_model(self, request: HttpRequest, obj: Recollection) -> None:
        """Forget it."""
        recall.forget_one(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Recollection]) -> None:
        """Forget them."""
        for recollection in queryset:
            recall.forget_one(recollection)


@admin.register(Entity)
class EntityAdmin(_LookOrDelete):
    """Who and what was spoken of; deleting one takes the facts about it."""

    list_display = ["name", "kind", "owner_email", "is_renamed", "created_at"]
    list_filter = ["kind", "is_renamed", "created_at"]
    search_fields = ["name", "key", "owner__email"]
    date_hierarchy = "created_at"
    fields = readonly_fields = ("owner_email", "name", "kind", "is_renamed", "created_at")

    def delete_model(self, request: HttpRequest, obj: Entity) -> None:
        """As its owner would."""
        _delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Entity]) -> None:
        """As their owners would."""
        for entity in queryset:
            _delete(entity)


def _delete(entity: Entity) -> None:
    try:
        graph.delete(entity)
    except NotFound:  # its last mention went a moment ago
        return


@admin.register(Relation)
class RelationAdmin(_LookOrDelete):
    """The facts."""

    list_display = ["id", "subject_name", "predicate", "object_name", "owner_email", "recollection", "said_at"]
    list_filter = ["recollection__said_at", "predicate"]
    list_select_related = ["owner", "subject", "object", "recollection"]
    search_fields = ["subject__name", "predicate", "object__name", "owner__email"]
    date_hierarchy = "recollection__said_at"
    fields = readonly_fields = ("owner_email", "subject_name", "predicate", "object_name", "recollection", "said_at")

    @admin.display(description="subject", ordering="subject__name")
    def subject_name(self, relation: Relation) -> str:
        """Of whom or what."""
        return relation.subject.name

    @admin.display(description="object", ordering="object__name")
    def object_name(self, relation: Relation) -> str:
        """Whom or what it is about."""
        return relation.object.name

    @admin.display(description="said at", ordering="recollection__said_at")
    def said_at(self, relation: Relation) -> object:
        """When it was told."""
        return relation.recollection.said_at


@admin.register(MemorySetting)
class MemorySettingAdmin(_LookOrDelete):
    """Who chose; whoever is not listed never did, and is remembered."""

    list_display = ["owner_email", "enabled"]
    list_filter = ["enabled"]
    search_fields = ["owner__email"]
    fields = readonly_fields = ("owner_email", "enabled")

    def has_delete_permission(self, request: HttpRequest, obj: MemorySetting | None = None) -> bool:
        """Not from its own pages, where it would switch memory on for somebody who wants it off; with its owner."""
        match = request.resolver_match
        return match is None or not (match.url_name or "").startswith("memory_memorysetting_")


@admin.register(ForgottenVector)
class ForgottenVectorAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Vectors that are yet to be deleted; how many there are says whether that goes on. The outbox takes them away."""

    list_display = ["id", "recollection_id", "owner_id"]
    list_display_links = None
    search_fields = ["=recollection_id", "=owner_id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A trigger writes them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: ForgottenVector | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ForgottenVector | None = None) -> bool:
        """Else a vector would stay for good."""
        return False
