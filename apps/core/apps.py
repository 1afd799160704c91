"""The shared kernel."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "apps.core"

    def ready(self) -> None:
        """Keep what apps declare for the database in it, through every migration."""
        from apps.core import triggers

        triggers.listen()
