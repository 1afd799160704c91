"""Routes of memory's API, below /api/."""

from django.urls import path

from apps.memory import api

urlpatterns = [
    path("memory", api.Memories.as_view()),
    path("memory/<int:pk>", api.MemoryDetail.as_view()),
    path("memory/settings", api.Settings.as_view()),
    path("memory/graph", api.Graph.as_view()),
    path("memory/entities/<int:pk>", api.EntityDetail.as_view()),
]
