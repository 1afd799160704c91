"""How often a password may be guessed: LOGIN_FAILURES_ALLOWED times for one e-mail from one address in any
LOGIN_FAILURES_WINDOW_MINUTES.

An attempt is counted before its password is checked, since the check is slow on purpose and a crowd would otherwise
slip through while the first of them is being checked.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apps.accounts.errors import TooManyAttempts
from apps.accounts.names import fold_email


class LoginAttemptQuerySet(models.QuerySet["LoginAttempt"]):
    """Recent attempts to give a password."""

    def reserve(self, email: str, address: str) -> LoginAttempt:
        """Count an attempt before the slow check of its password, so that a crowd gets no more tries than one person.

        Raises `TooManyAttempts`. Call `succeed()` on what is returned when the password was right.
        """
        self.stale().delete()
        key = salted_hmac("apps.accounts.attempt", f"{fold_email(email)}\0{address}", algorithm="sha256").hexdigest()
        with transaction.atomic():
            attempts, _ = self.select_for_update().get_or_create(key=key)
            attempts.add()
        return attempts

    def stale(self) -> Self:
        """Those that no longer count against anybody."""
        return self.filter(last_at__lt=timezone.now() - _window())


class LoginAttempt(models.Model):
    """Attempts for one e-mail from one address, of which only a keyed hash is kept, within the login's window."""

    key = models.CharField(max_length=64, unique=True)
    times = models.JSONField(default=list)
    last_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = LoginAttemptQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Attempts {self.pk}"

    def add(self) -> None:
        """Count one more, under the row's lock; raises `TooManyAttempts` when none is left."""
        now = timezone.now()
        recent = [at for at in self.times if at > (now - _window()).timestamp()]
        if len(recent) >= settings.LOGIN_FAILURES_ALLOWED:
            raise TooManyAttempts(math.ceil(recent[0] + _window().total_seconds() - now.timestamp()))
        self.times = [*recent, now.timestamp()]
        self.last_at = now
        self.save(update_fields=["times", "last_at"])

    def succeed(self) -> None:
        """The password was right: nothing counts against them any more."""
        LoginAttempt.objects.filter(pk=self.pk).delete()


def _window() -> timedelta:
    return timedelta(minutes=settings.LOGIN_FAILURES_WINDOW_MINUTES)
