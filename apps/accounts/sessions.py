"""Django's session framework over `Session` rows (SESSION_ENGINE): the cookie's token is in no database.

Only somebody who is signed in has a row; a visitor's session holds nothing beyond the request. `create()` therefore
makes a token and leaves the row to `save()`, which knows whose it is. The row's end is fixed when it is made.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.db import IntegrityError
from django.utils import timezone

from apps.accounts.models import LoginAttempt, Session


class SessionStore(SessionBase):
    """What `request.session` is."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.row: Session | None = None
        self._expires_at: datetime | None = None
        self._address = self._user_agent = ""

    def describe(self, *, address: str, user_agent: str) -> None:
        """Say where the session about to be made is used, for the list in which its owner looks for strangers."""
        self._address, self._user_agent = address, user_agent

    def is_empty(self) -> bool:
        """Whether there is nobody in it; Django then deletes the cookie instead of setting one."""
        cache: dict[str, Any] | None = getattr(self, "_session_cache", None)
        return not self.session_key if cache is None else SESSION_KEY not in cache

    # --- What SessionBase asks for; its asynchronous twins call these on a thread

    def exists(self, session_key: str) -> bool:
        """Whether this token opens a stored session."""
        return Session.objects.with_token(session_key).exists()

    def create(self) -> None:
        """A new token for new data; a session that goes on under it (`cycle_key`) keeps its end."""
        self._session_key = secrets.token_urlsafe(32)
        self._session_cache: dict[str, Any] = {}
        self.row = None
        self.modified = True

    def load(self) -> dict[str, Any]:
        """The stored data; empty, and the token forgotten, when there is no such session or no more."""
        self.row = Session.objects.opened_by(self.session_key) if self.session_key else None
        if self.row is None:
            self._session_key = None
            return {}
        self._expires_at = self.row.expires_at
        self.describe(address=self.row.address, user_agent=self.row.user_agent)
        self.row.touch()
        return self.decode(self.row.data)

    def save(self, must_create: bool = False) -> None:
        """Store the data if somebody is signed in; raises UpdateError when the session was ended meanwhile."""
        data = dict(self.items())
        if SESSION_KEY not in data:
            return
        if self.row is None:
            self.row = self._insert(int(data[SESSION_KEY]), self.encode(data))
        elif not self.row.store(self.encode(data)):
            raise UpdateError

    def _insert(self, user_id: int, data: str) -> Session:
        self._session_key = token = self.session_key or secrets.token_urlsafe(32)
        self._expires_at = self._expires_at or timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
        try:
            return Session.objects.open(
                token, user_id, data, self._expires_at, address=self._address, user_agent=self._user_agent
            )
        except IntegrityError as error:
            raise UpdateError from error  # the account was deleted while its owner signed in

    def delete(self, session_key: str | None = None) -> None:
        """Sign out: the row goes. Without a token, the present one."""
        token = session_key or self.session_key
        if token:
            Session.objects.with_token(token).delete()

    def flush(self) -> None:
        """Sign out and start over as nobody."""
        super().flush()
        self._start_over()

    async def aflush(self) -> None:
        """The same from a coroutine."""
        await super().aflush()
        self._start_over()

    def _start_over(self) -> None:
        self.row = self._expires_at = None

    @classmethod
    def clear_expired(cls) -> None:
        """What `manage.py clearsessions` calls."""
        Session.objects.expired().delete()
        LoginAttempt.objects.stale().delete()

    # --- The end does not move

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """When the session ends: SESSION_EXPIRE_HOURS after signing in."""
        return self._expires_at or super().get_expiry_date(**kwargs)

    async def aget_expiry_date(self, **kwargs: Any) -> datetime:
        """The same from a coroutine."""
        return self._expires_at or await super().aget_expiry_date(**kwargs)

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Seconds until then: the cookie's age."""
        if self._expires_at is None:
            return super().get_expiry_age(**kwargs)
        return max(0, ceil((self._expires_at - timezone.now()).total_seconds()))

    async def aget_expiry_age(self, **kwargs: Any) -> int:
        """The same from a coroutine."""
        return self.get_expiry_age(**kwargs) if self._expires_at else await super().aget_expiry_age(**kwargs)
