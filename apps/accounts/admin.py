"""The operator's rooms for accounts: users, and the sessions and tokens that speak for them, to look at or end.

No page here shows a hash. One's own account cannot be demoted, disabled or deleted here, nor the last admin's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from apps.accounts.errors import LastAdmin
from apps.accounts.forms import NewUserForm, UserForm
from apps.accounts.models import ApiToken, Session, User


def _login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """The admin has no door of its own: its form would not count wrong passwords."""
    if request.user.is_authenticated and not admin.site.has_permission(request):
        raise PermissionDenied
    return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index"))


def _password_change(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """One's own password is changed where guesses at the present one are counted too."""
    return redirect("settings")


admin.site.login = _login  # type: ignore[method-assign]
admin.site.password_change = _password_change  # type: ignore[method-assign, assignment]
admin.site.unregister(Group)  # what somebody may do is their role


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Accounts."""

    form = UserForm
    add_form = NewUserForm
    list_display = ["email", "display_name", "username", "role", "is_active", "date_joined", "last_login"]
    list_filter = ["role", "is_active", "date_joined"]
    search_fields = ["email", "display_name", "username"]
    ordering = ["email"]
    filter_horizontal = []
    readonly_fields = ["username", "password_link", "date_joined", "last_login"]
    fieldsets = [
        (None, {"fields": ["email", "display_name", "username", "password_link"]}),
        ("May", {"fields": ["role", "is_active"]}),
        ("Dates", {"fields": ["date_joined", "last_login"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "display_name", "role", "password1", "password2"]})]

    @admin.display(description="password")
    def password_link(self, user: User) -> str:
        """The way to Django's form for a new password."""
        return format_html('<a href="{}">Set another password</a>', reverse(_PASSWORD_PAGE, args=[user.pk]))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """What cannot be changed here: of oneself, also what would lock one out."""
        fixed = list(super().get_readonly_fields(request, obj))
        return [*fixed, "role", "is_active"] if obj is not None and obj == request.user else fixed

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: User | None = None,
    ) -> HttpResponse:
        """Titled by the address, as the list has it: an account's own text names nobody, for the log keeps it."""
        if obj is not None:
            context["subtitle"] = obj.email
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool) -> None:
        """A new account gets its username here."""
        if change:
            super().save_model(request, obj, form, change)
        else:
            User.objects.enrol(obj)

    def get_deleted_objects(
        self, objs: QuerySet[User] | Iterable[User], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """What would go, and what stands in the way of it."""
        users = list(objs)
        to_delete, counts, missing_permissions, protected = super().get_deleted_objects(users, request)
        return to_delete, counts, missing_permissions, [*protected, *_indispensable(users, request)]


def _indispensable(users: list[User], request: HttpRequest) -> list[str]:
    reasons = ["Your own account."] if request.user in users else []
    if not User.objects.active_admins().exclude(pk__in=[user.pk for user in users]).exists():
        reasons.append(LastAdmin.detail)
    return reasons


_PASSWORD_PAGE = "admin:auth_user_password_change"  # noqa: S105 -- the name of a route


class _LookOrDelete(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """What belongs to a user, and only its owner's doing makes or changes."""

    list_select_related = ["user"]
    list_filter = ["created_at", "expires_at"]

    @admin.display(description="user", ordering="user__email")
    def user_email(self, row: Session | ApiToken) -> str:
        """Whose it is."""
        return row.user.email

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False


@admin.register(Session)
class SessionAdmin(_LookOrDelete):
    """Who is signed in, and from where; deleting one signs it out."""

    list_display = ("user_email", "created_at", "last_seen_at", "expires_at", "address", "user_agent")
    fields = readonly_fields = list_display
    search_fields = ["user__email", "address"]


@admin.register(ApiToken)
class ApiTokenAdmin(_LookOrDelete):
    """Tokens for programs; deleting one ends it."""

    list_display = ("user_email", "name", "created_at", "expires_at", "last_used_at")
    fields = readonly_fields = list_display
    search_fields = ["user__email", "name"]
