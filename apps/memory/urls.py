"""Memory's pages, and what their forms send to."""

from __future__ import annotations

from django.urls import path

from apps.memory import views

_ENTITY = "memory/entities/<int:entity_id>"

urlpatterns = [
    path("memory", views.memory, name="memory"),
    path("memory/switch", views.switch, name="memory-switch"),
    path("memory/forget-conversation", views.forget_conversation, name="memory-forget-conversation"),
    path("memory/forget-all", views.forget_all, name="memory-forget-all"),
    path("memory/<int:recollection_id>/forget", views.forget, name="memory-forget"),
    path("memory/graph", views.graph_page, name="memory-graph"),
    path("memory/entities", views.entities, name="memory-entities"),
    path(_ENTITY, views.entity, name="memory-entity"),
    path(f"{_ENTITY}/rename", views.rename, name="memory-entity-rename"),
    path(f"{_ENTITY}/merge", views.merge, name="memory-entity-merge"),
    path(f"{_ENTITY}/delete", views.delete_entity, name="memory-entity-delete"),
]
