"""Music repos and the recording sessions kept in them."""

from django.apps import AppConfig


class MuseHubConfig(AppConfig):
    name = "apps.musehub"
    verbose_name = "MuseHub"

    def ready(self) -> None:
        """Hear of rows that are deleted, by whatever door."""
        from apps.musehub import deletion  # noqa: F401
