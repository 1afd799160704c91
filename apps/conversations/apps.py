"""Conversations with a model: the product."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "apps.conversations"

    def ready(self) -> None:
        """Hear of rows that are deleted, by whatever door."""
        from apps.conversations import deletion  # noqa: F401
