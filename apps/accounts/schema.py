"""How the OpenAPI schema describes the two ways to say who one is. Loaded when the app is ready."""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

_AUTHENTICATION = "apps.accounts.authentication"


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """An API token."""

    target_class = f"{_AUTHENTICATION}.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """In the Authorization header."""
        return {"type": "http", "scheme": "bearer", "description": "An API token. Needs no CSRF token."}


class CookieScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The browser's session."""

    target_class = f"{_AUTHENTICATION}.CookieAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """In its cookie."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": f"Unsafe methods need `X-CSRFToken` too, equal to the cookie `{settings.CSRF_COOKIE_NAME}`.",
        }
