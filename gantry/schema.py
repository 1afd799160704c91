"""How the OpenAPI schema names the two ways to say who asks; drf-spectacular finds these by being imported."""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its registry's hook has no types
    """`Authorization: Bearer <token>`."""

    target_class = "apps.accounts.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """The scheme, in OpenAPI's words."""
        return {"type": "http", "scheme": "bearer", "description": "A token made in the settings, or by POST tokens."}


class CookieScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # likewise
    """The browser's session."""

    target_class = "apps.accounts.authentication.CookieAuthentication"
    name = "cookie"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """The scheme, in OpenAPI's words."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "Unsafe methods also need the header X-CSRFToken, equal to the cookie csrftoken.",
        }
