"""`GET /health`: for whoever watches the product from outside; needs no sign-in and tells no secret."""

from __future__ import annotations

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse

from apps.llm import catalog
from apps.memory import outbox


def health(request: HttpRequest) -> JsonResponse:
    """Healthy, or degraded by what is down; 503 only when the database is. `off` is what was never switched on."""
    checks = {"database": _database(), "llm": _llm(), "memory": outbox.state()}
    state = "degraded" if "down" in checks.values() else "healthy"
    body = {"status": state, "version": settings.VERSION, "checks": checks}
    return JsonResponse(body, status=503 if checks["database"] == "down" else 200)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "down"
    return "ok"


def _llm() -> str:
    if not settings.TABBY_HOST:
        return "off"
    return "ok" if catalog.is_reachable() else "down"
