"""Routes under /api/."""

from __future__ import annotations

from django.urls import path

from apps.llm import api

urlpatterns = [
    path("models", api.Models.as_view()),
    path("models/active", api.ActiveModel.as_view()),
]
