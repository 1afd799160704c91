"""Conversations with a model: the product."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "apps.conversations"

    def ready(self) -> None:
        """Hear of rows that are deleted, by whatever door; tell memory what its sources are; have the words of titles
        and messages indexed."""
        from apps.conversations import (
            deletion,  # noqa: F401
            search,
        )
        from apps.conversations.engine import memories
        from apps.memory import origins

        origins.register(memories.KIND, memories.origins_of)
        search.MESSAGES.declare()
        search.TITLES.declare()
