"""The model server, over httpx: what it is asked, what it answers, how it fails, which models it has."""

from __future__ import annotations

from django.apps import AppConfig


class LLMConfig(AppConfig):
    name = "apps.llm"
    label = "llm"
    verbose_name = "Model server"
