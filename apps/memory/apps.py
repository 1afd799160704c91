"""Long-term memory: what the assistant knows about a person, and where it heard it."""

from django.apps import AppConfig


class MemoryConfig(AppConfig):
    name = "apps.memory"

    def ready(self) -> None:
        """Declare what the database keeps in step by itself."""
        from apps.memory import triggers

        triggers.declare_all()
