"""The forms of the pages, and of the users' Django admin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone

from apps.accounts.errors import LastAdmin
from apps.accounts.models import User

PASSWORD_MAX = 4096
_DAYS = [("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "No end")]


class _Form(forms.Form):
    """A form of ours: labels without colons."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)


def _password(label: str, autocomplete: str, help_text: str = "") -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, max_length=PASSWORD_MAX, strip=False, widget=widget, help_text=help_text)


class LoginForm(_Form):
    """Sign in."""

    email = forms.EmailField(
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = _password("Password", "current-password")


class SetupForm(_Form):
    """Make the first account."""

    email = forms.EmailField(
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    display_name = forms.CharField(label="Name", max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = _password("Password", "new-password", help_text="At least 8 characters.")

    def clean_password(self) -> str:
        """Strong enough, and not like the rest of the form."""
        password: str = self.cleaned_data["password"]
        known = {field: self.cleaned_data.get(field, "") for field in ("email", "display_name")}
        validate_password(password, User(**known))
        return password


class ProfileForm(_Form):
    """Change what pages call one."""

    display_name = forms.CharField(label="Name", max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))


class PasswordForm(_Form):
    """Change one's password."""

    current_password = _password("Current password", "current-password")
    new_password = _password("New password", "new-password", help_text="At least 8 characters.")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_new_password(self) -> str:
        """Strong enough, and not like the account's other data."""
        password: str = self.cleaned_data["new_password"]
        validate_password(password, self._user)
        return password


class TokenForm(_Form):
    """Make an API token."""

    name = forms.CharField(label="What it is for", max_length=100)
    days = forms.TypedChoiceField(
        label="Valid for", choices=_DAYS, initial="90", required=False, coerce=int, empty_value=None
    )

    def expires_at(self) -> datetime | None:
        """When the token ends; None for one that does not."""
        days = self.cleaned_data["days"]
        return None if days is None else timezone.now() + timedelta(days=days)


class NewUserForm(BaseUserCreationForm):  # type: ignore[type-arg]
    """The admin's form for a new account; its username is made when it is stored."""

    class Meta:
        model = User
        fields = ["email", "display_name", "role"]


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    """The admin's form for an account that exists."""

    class Meta:
        model = User
        fields = ["email", "display_name", "role", "is_active"]

    def clean(self) -> dict[str, Any]:
        """Somebody has to remain who can administer the installation."""
        values = super().clean() or {}
        if values.get("role", User.Role.ADMIN) != User.Role.ADMIN or not values.get("is_active", True):
            try:
                self.instance.spare_last_admin()
            except LastAdmin as refusal:
                raise ValidationError(refusal.detail) from refusal
        return values
