"""What accounts refuse.

GantryError
 ├─ Conflict          409
 │   ├─ EmailTaken
 │   └─ AlreadySetUp
 ├─ LastAdmin         400
 ├─ WrongPassword     400
 └─ TooManyAttempts   429, with `retry_after`
"""

from __future__ import annotations

import math

from apps.core.errors import Conflict, GantryError


class EmailTaken(Conflict):
    """An account with this e-mail address exists already."""

    code = "email_taken"
    detail = "An account with this e-mail address exists already."


class AlreadySetUp(Conflict):
    """The first account exists, so nobody else can make it."""

    code = "already_set_up"
    detail = "This installation has its first account already."


class LastAdmin(GantryError):
    """Without this account nobody could administer the installation."""

    code = "last_admin"
    detail = "This is the last active admin. Make somebody else an admin first."


class TooManyAttempts(GantryError):
    """The password of this account was wrong too often from this address; `retry_after` is in seconds."""

    code = "too_many_attempts"
    status = 429

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        minutes = math.ceil(retry_after / 60)
        wait = "a minute" if minutes <= 1 else f"{minutes} minutes"
        super().__init__(f"Too many attempts with a wrong password. Wait {wait} and try again.")

    @property
    def headers(self) -> dict[str, str]:
        """What the response says besides its body."""
        return {"Retry-After": str(self.retry_after)}


class WrongPassword(GantryError):
    """The current password, asked for again before a change, is another one."""

    code = "wrong_password"
    detail = "The current password is not right."


class SignedOut(GantryError):
    """The account changed while its request was under way, so what the request was granted on is gone."""

    code = "signed_out"
    status = 401
    detail = "Your account was changed just now. Sign in again."
