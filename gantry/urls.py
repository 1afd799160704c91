"""Every route: pages at /, the API at /api/, the Django admin at /admin/."""

from __future__ import annotations

import sys

from django.contrib import admin
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.templatetags.static import static
from django.urls import include, path
from django.views import defaults
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from apps.core.errors import DatabaseUnreachable
from gantry.health import health

admin.site.site_header = admin.site.site_title = "Nebulus Gantry"

urlpatterns = [
    path("health", health),
    # Asked for by browsers on pages that name no icon: the API's, the admin's, those of errors.
    path("favicon.ico", RedirectView.as_view(url=static("img/icon.svg"), http_method_names=["get", "head"])),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema", http_method_names=["get", "head"])),
    path("api/auth/", include("apps.accounts.api_urls")),
    path("api/chat/", include("apps.conversations.api_urls")),
    path("api/", include("apps.llm.urls")),
    path("api/", include("apps.memory.api_urls")),
    path("api/", include("apps.musehub.api_urls")),
    path("admin/", admin.site.urls),
    path("", include("apps.accounts.urls")),
    path("", include("apps.conversations.urls")),
    path("", include("apps.memory.urls")),
    path("", include("apps.musehub.urls")),
]


def _is_api(request: HttpRequest) -> bool:
    return request.path == "/api" or request.path.startswith("/api/")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that could not be taken, in the language of whoever asks."""
    if _is_api(request):
        return JsonResponse({"detail": "The request could not be understood.", "code": "invalid"}, status=400)
    return defaults.bad_request(request, exception)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Not allowed."""
    if _is_api(request):
        return JsonResponse({"detail": "This is not allowed.", "code": "permission_denied"}, status=403)
    return defaults.permission_denied(request, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Nothing there; the same bytes as for what is somebody else's."""
    if _is_api(request):
        return JsonResponse(
            {"detail": "Not found.", "code": "not_found"}, status=404, json_dumps_params={"separators": (",", ":")}
        )
    return defaults.page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    """A fault of ours, or the database is away; the log has it."""
    if isinstance(sys.exception(), (OperationalError, InterfaceError)):
        detail = DatabaseUnreachable.detail
        if _is_api(request):
            return JsonResponse({"detail": detail, "code": DatabaseUnreachable.code}, status=503)
        return HttpResponse(detail, status=503, content_type="text/plain; charset=utf-8")
    if _is_api(request):
        return JsonResponse({"detail": "Something went wrong here; the log says what.", "code": "internal"}, status=500)
    return defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form or a request without its CSRF token."""
    return handler403(request, PermissionError(reason))
