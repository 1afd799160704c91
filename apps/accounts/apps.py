"""Who is asking."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"

    def ready(self) -> None:
        """Let the OpenAPI schema know our ways to sign in."""
        from apps.accounts import schema  # noqa: F401
