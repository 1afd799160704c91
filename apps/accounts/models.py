"""Who is asking: users, and the credentials that speak for them.

A credential is stored only as a hash, so a copy of the database signs nobody in. Whatever changes a user's password,
role or `is_active`, by whatever door (a method here, `save()`, `update()`, the admin, `manage.py`), moves `revision`
on in the same transaction; a new password or a disabled account ends its sessions and tokens there too. Open sockets
and streams hear of it through `apps.accounts.leases`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Self

from asgiref.sync import sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apps.accounts.attempts import LoginAttempt
from apps.accounts.browsers import browser_name
from apps.accounts.errors import AlreadySetUp, EmailTaken, LastAdmin, SignedOut
from apps.accounts.names import USERNAME_MAX, USERNAME_PATTERN, fold_email, username_stem, usernames
from apps.core.prepared import Prepared, Slot

__all__ = ["ApiToken", "LoginAttempt", "Session", "User"]

# What a credential was granted on: a change of these is noticed by everything that is open.
GUARDED = frozenset({"password", "role", "is_active"})
_SEEN_EVERY = timedelta(minutes=1)
_ADDRESS_MAX = 64
_USER_AGENT_MAX = 300


class UserQuerySet(models.QuerySet["User"]):
    """Users; `update()` is as good a door to a guarded field as `save()`."""

    def active_admins(self) -> Self:
        """Those who can administer the installation."""
        return self.filter(role=User.Role.ADMIN, is_active=True)

    def update(self, **changes: Any) -> int:
        """Django's `update`, which also moves revisions on and ends credentials where a guarded field is among them."""
        if GUARDED.isdisjoint(changes):
            return super().update(**changes)
        with transaction.atomic(using=self.db):
            users = list(self.select_for_update().values_list("pk", flat=True))
            changed = super().update(**{"revision": F("revision") + 1, **changes})
            _end_credentials(users if "password" in changes else self._disabled(users))
        return changed

    update.alters_data = True  # type: ignore[attr-defined]

    def rehash(self, user: User, password: str) -> None:
        """Store a stronger hash of the same password, unless the password was changed meanwhile. Ends nothing."""
        stronger = make_password(password)
        row = self.filter(pk=user.pk, password=user.password)
        if models.QuerySet.update(row, password=stronger):
            user.password = stronger

    def _disabled(self, users: Collection[int]) -> list[int]:
        return list(self.model.objects.filter(pk__in=users, is_active=False).values_list("pk", flat=True))


class UserManager(BaseUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Makes users and checks their passwords."""

    def create_user(self, email: str, password: str | None, display_name: str = "", role: str = "user") -> User:
        """A new, stored user; raises `EmailTaken`."""
        return self.enrol(self._new(email, password, display_name, role))

    def create_superuser(self, email: str, password: str | None, display_name: str = "") -> User:
        """The operator's door, `manage.py createsuperuser`: an admin."""
        return self.create_user(email, password, display_name, role=User.Role.ADMIN)

    def create_first(self, email: str, password: str, display_name: str = "") -> User:
        """The first account of an empty installation, an admin; raises `AlreadySetUp`, to all but one of any crowd."""
        if self.exists():
            raise AlreadySetUp
        founder = self._new(email, password, display_name, User.Role.ADMIN)
        founder.is_founder = True
        with transaction.atomic(using=self.db):
            if self.exists():
                raise AlreadySetUp
            return self.enrol(founder)

    def enrol(self, user: User) -> User:
        """Store a new user under the first free username; raises `EmailTaken`, to a second founder `AlreadySetUp`."""
        stem = username_stem(user.email)
        taken = set(self.filter(username__startswith=stem).values_list("username", flat=True))
        for username in usernames(user.email, taken):
            user.username = username
            if self._try_to_store(user):
                break
        return user

    def _try_to_store(self, user: User) -> bool:
        """Whether it was stored; False when somebody took the username a moment ago."""
        try:
            with transaction.atomic(using=self.db):
                user.save(force_insert=True, using=self.db)
        except IntegrityError:
            if user.is_founder and self.filter(is_founder=True).exists():
                raise AlreadySetUp from None
            if self.filter(email=user.email).exists():
                raise EmailTaken from None
            if not self.filter(username=user.username).exists():
                raise
            return False
        return True

    def _new(self, email: str, password: str | None, display_name: str, role: str) -> User:
        email = fold_email(email)
        user: User = self.model(email=email, display_name=display_name or email.partition("@")[0], role=role)
        user.set_password(password)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        """Found by e-mail, in whatever case it was typed."""
        user: User = self.get(email=fold_email(username or ""))
        return user

    def authenticate(self, email: str, password: str) -> User | None:
        """Whose e-mail and password these are. An unknown address costs as much time as a wrong password."""
        user: User | None = self.filter(email=fold_email(email)).first()
        if user is None:
            make_password(password)
            return None
        return user if user.check_password(password) and user.is_active else None


class User(AbstractBaseUser, PermissionsMixin):
    """A person with an account."""

    class Role(models.TextChoices):
        """What somebody may do: use the place, or also run it."""

        USER = "user"
        ADMIN = "admin"

    email = models.EmailField("e-mail", unique=True, error_messages={"unique": "This address has an account already."})
    username = models.CharField(max_length=USERNAME_MAX, unique=True, validators=[RegexValidator(USERNAME_PATTERN)])
    display_name = models.CharField(max_length=100)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.USER)
    is_active = models.BooleanField("active", default=True, help_text="Unticked: cannot sign in, and is signed out.")
    is_founder = models.BooleanField(default=False, editable=False)
    revision = models.PositiveIntegerField(default=0, editable=False)
    date_joined = models.DateTimeField("joined", default=timezone.now, editable=False)

    objects = UserManager()

    EMAIL_FIELD = USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["display_name"]

    class Meta:
        ordering = ["email"]
        constraints = [
            models.UniqueConstraint(fields=["is_founder"], condition=Q(is_founder=True), name="one_founder"),
            models.CheckConstraint(condition=Q(role__in=["user", "admin"]), name="user_role_known"),
        ]

    def __str__(self) -> str:
        # The admin's log keeps this text after the account is deleted, so it names nobody.
        return f"Account {self.pk}"

    @property
    def is_staff(self) -> bool:
        """Whether the Django admin lets them in."""
        return self.role == self.Role.ADMIN

    @property
    def is_superuser(self) -> bool:  # type: ignore[override]
        """Whether every permission of the Django admin is theirs; follows the role instead of a column of its own."""
        return self.role == self.Role.ADMIN

    def get_full_name(self) -> str:
        """What pages call them."""
        return self.display_name

    get_short_name = get_full_name

    # --- Changes

    def rename(self, display_name: str) -> None:
        """Be called something else."""
        self.display_name = display_name
        self.save(update_fields=["display_name"])

    def change_password(self, password: str, keep_session: int | None = None) -> None:
        """Set the password, which ends every session but `keep_session`, every token, and all that is open."""
        self.set_password(password)
        self._save_guarded(["password"], keep_session=keep_session)

    def set_role(self, role: str) -> None:
        """Give another role; raises `LastAdmin`."""
        with transaction.atomic():
            if role != self.Role.ADMIN:
                self.spare_last_admin()
            self.role = self.Role(role)
            self.save(update_fields=["role"])

    def disable(self) -> None:
        """Keep them out from now on; raises `LastAdmin`."""
        with transaction.atomic():
            self.spare_last_admin()
            self.is_active = False
            self.save(update_fields=["is_active"])

    def enable(self) -> None:
        """Let them sign in again."""
        self.is_active = True
        self.save(update_fields=["is_active"])

    def spare_last_admin(self) -> None:
        """Raise `LastAdmin` if nobody else could take over; the admins stay locked until the transaction ends."""
        admins = User.objects.active_admins().select_for_update().order_by("pk").values_list("pk", flat=True)
        if list(admins) == [self.pk]:
            raise LastAdmin

    def stand(self) -> None:
        """Raise `SignedOut` if password, role or account changed since this user was read.

        The row stays locked until the transaction ends: a credential made meanwhile is either refused here, or there
        in time to be ended by the change.
        """
        rows = User.objects.select_for_update().filter(pk=self.pk, revision=self.revision, is_active=True)
        if rows.first() is None:
            raise SignedOut

    # --- Passwords

    def check_password(self, raw_password: str | None) -> bool:
        """Whether this is the password; a hash weaker than today's is replaced on the way, which ends no session."""

        def rehash(password: str) -> None:
            User.objects.rehash(self, password)

        return check_password(raw_password, self.password, rehash)

    async def acheck_password(self, raw_password: str | None) -> bool:
        """The same, without holding up the loop."""
        return await sync_to_async(self.check_password)(raw_password)

    def get_session_auth_hash(self) -> str:
        """What Django compares at each request; constant, because a changed password deletes the sessions' rows."""
        return salted_hmac("apps.accounts.session", str(self.pk), algorithm="sha256").hexdigest()

    # --- Storing

    def clean(self) -> None:
        """Fold the address before it is compared with others."""
        self.email = fold_email(self.email)

    def save(self, *, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        """Store. A guarded field that differs from its row moves `revision` on, and may end credentials."""
        self.email = fold_email(self.email)
        guarded = GUARDED if update_fields is None else GUARDED.intersection(update_fields)
        if not (self.pk and guarded):
            super().save(update_fields=update_fields, **options)
        else:
            self._save_guarded(update_fields, **options)

    save.alters_data = True  # type: ignore[attr-defined]

    def _save_guarded(
        self, update_fields: Iterable[str] | None, *, keep_session: int | None = None, **options: Any
    ) -> None:
        with transaction.atomic():
            changed = self._changed_guarded(update_fields)
            if update_fields is not None and changed:
                update_fields = {*update_fields, "revision"}
            super().save(update_fields=update_fields, **options)
            if "password" in changed or ("is_active" in changed and not self.is_active):
                _end_credentials([self.pk], keep_session=keep_session)

    def _changed_guarded(self, update_fields: Iterable[str] | None) -> set[str]:
        """Which guarded fields are about to differ from the row, which stays locked; `revision` is set accordingly."""
        written = GUARDED if update_fields is None else GUARDED.intersection(update_fields)
        row = User.objects.select_for_update().filter(pk=self.pk).values("revision", *GUARDED).first()
        if row is None:
            return set()
        changed = {field for field in written if getattr(self, field) != row[field]}
        self.revision = row["revision"] + bool(changed)
        return changed


def _end_credentials(users: Collection[int], *, keep_session: int | None = None) -> None:
    Session.objects.filter(user__in=users).other_than(keep_session).delete()
    ApiToken.objects.filter(user__in=users).delete()


def fingerprint(token: str) -> str:
    """What is stored of a token: it is long and random, so one round of SHA-256 cannot be undone."""
    return sha256(token.encode()).hexdigest()


class SessionQuerySet(models.QuerySet["Session"]):
    """Signed-in browsers."""

    def visible_to(self, user: User) -> Self:
        """One's own."""
        return self.filter(user=user)

    def live(self) -> Self:
        """Those that have not expired."""
        return self.filter(expires_at__gt=timezone.now())

    def other_than(self, session_id: int | None) -> Self:
        """All but this one."""
        return self if session_id is None else self.exclude(pk=session_id)

    def expired(self) -> Self:
        """The others, which are only waiting to be swept away."""
        return self.filter(expires_at__lte=timezone.now())

    def open(
        self, token: str, user_id: int, data: str, expires_at: datetime, *, address: str, user_agent: str
    ) -> Session:
        """A new session that the token opens."""
        return self.create(
            key_hash=fingerprint(token),
            user_id=user_id,
            data=data,
            expires_at=expires_at,
            address=address[:_ADDRESS_MAX],
            user_agent=user_agent[:_USER_AGENT_MAX],
        )

    def with_token(self, token: str) -> Self:
        """The one that the cookie's token opens."""
        return self.filter(key_hash=fingerprint(token))

    def opened_by(self, token: str) -> Session | None:
        """The one that the cookie's token opens, if it has not expired, with its user."""
        return _OPENED_SESSION.one(key_hash=fingerprint(token), now=timezone.now())


class Session(models.Model):
    """One browser in which somebody is signed in, from signing in until `expires_at`, however busy it is."""

    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    data = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    address = models.CharField(max_length=_ADDRESS_MAX, blank=True)
    user_agent = models.CharField("browser", max_length=_USER_AGENT_MAX, blank=True)

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen_at", "-pk"]

    def __str__(self) -> str:
        return f"Session {self.pk}"

    @property
    def browser(self) -> str:
        """What its owner would call it."""
        return browser_name(self.user_agent)

    def store(self, data: str) -> bool:
        """Keep what Django's session holds; False when the session was ended meanwhile."""
        self.data = data
        return Session.objects.filter(pk=self.pk).update(data=data) == 1

    def touch(self) -> None:
        """Remember that it was used, to the minute."""
        now = timezone.now()
        if self.last_seen_at <= now - _SEEN_EVERY:
            self.last_seen_at = now
            Session.objects.filter(pk=self.pk).update(last_seen_at=now)


# Every request asks one of the two.
_NOW = Slot("now", models.DateTimeField())
_OPENED_SESSION = Prepared(
    lambda: (
        Session.objects.filter(key_hash=Slot("key_hash", models.CharField()), expires_at__gt=_NOW)
        .select_related("user")
        .order_by()
    )
)
_OPENED_TOKEN = Prepared(
    lambda: (
        ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=_NOW))
        .filter(digest=Slot("digest", models.CharField()))
        .select_related("user")
        .order_by()
    )
)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Tokens for programs."""

    def visible_to(self, user: User) -> Self:
        """One's own."""
        return self.filter(user=user)

    def live(self) -> Self:
        """Those that have not expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))

    def opened_by(self, plaintext: str) -> ApiToken | None:
        """The one that this plaintext opens, if it has not expired, with its user."""
        return _OPENED_TOKEN.one(digest=fingerprint(plaintext), now=timezone.now())

    def issue(self, user: User, name: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
        """A new token and its plaintext, which nobody can show again; raises `SignedOut`."""
        plaintext = f"gantry_{secrets.token_urlsafe(32)}"
        with transaction.atomic():
            user.stand()
            token = self.create(user=user, name=name, digest=fingerprint(plaintext), expires_at=expires_at)
        return token, plaintext


class ApiToken(models.Model):
    """What a program sends as `Authorization: Bearer …` to act for a user."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"API token {self.pk}"

    def touch(self) -> None:
        """Remember that it was used, to the minute."""
        now = timezone.now()
        if self.last_used_at is None or self.last_used_at <= now - _SEEN_EVERY:
            self.last_used_at = now
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)
