"""MuseHub for operators: to look after repos and sessions. What is changed here is written down like anything else."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from apps.accounts.models import User
from apps.musehub import recorder
from apps.musehub.models import Activity, Collaborator, FeedAddress, RecordingSession, Repo


def _operator(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


class CollaboratorInline(admin.TabularInline):  # type: ignore[type-arg]  # not subscriptable at run time
    """Who may write beside the owner; it is the owner who lets them in."""

    model = Collaborator
    extra = 0
    fields = readonly_fields = ("user", "added_at")

    def has_add_permission(self, request: HttpRequest, obj: Repo | None = None) -> bool:
        """It is the owner's to do."""
        return False


@admin.register(Repo)
class RepoAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Find, rename, hide or delete a repo."""

    list_display = ["name", "owner_name", "visibility", "session_count", "created_at", "updated_at"]
    list_filter = ["visibility", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["name", "slug", "description", "owner__username", "owner__email", "repo_id"]
    date_hierarchy = "created_at"
    fields = ["repo_id", "owner", "slug", "name", "visibility", "description", "tags", "created_at", "updated_at"]
    readonly_fields = ["repo_id", "owner", "slug", "created_at", "updated_at"]
    inlines = [CollaboratorInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Repo]:
        """With the number of sessions in each."""
        repos: QuerySet[Repo] = super().get_queryset(request)
        return repos.annotate(sessions_kept=Count("sessions"))

    @admin.display(description="owner", ordering="owner__username")
    def owner_name(self, repo: Repo) -> str:
        """Whose it is."""
        return repo.owner.username

    @admin.display(description="sessions", ordering="sessions_kept")
    def session_count(self, repo: Repo) -> int:
        """How many are kept in it."""
        return int(repo.sessions_kept)  # type: ignore[attr-defined]  # annotated in get_queryset

    def save_model(self, request: HttpRequest, obj: Repo, form: ModelForm[Repo], change: bool) -> None:
        """Write what was changed and nothing else, and tell whoever follows it."""
        changed = {name: form.cleaned_data[name] for name in form.changed_data}
        recorder.change_repo(obj, changed, actor=_operator(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A repo is opened by its owner."""
        return False


@admin.register(RecordingSession)
class RecordingSessionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Find a session, end a forgotten one, delete one. What was said in it is its people's to change."""

    list_display = ["started_at", "repo_name", "author_name", "is_active", "ended_at", "duration", "last_activity_at"]
    list_filter = ["is_active", "started_at", "repo__visibility"]
    list_select_related = ["repo"]
    search_fields = ["author_name", "repo__name", "intent", "location", "notes", "session_id"]
    date_hierarchy = "started_at"
    actions = ["end_at_last_activity"]

    @admin.display(description="repo", ordering="repo__name")
    def repo_name(self, session: RecordingSession) -> str:
        """Where it is kept."""
        return session.repo.name

    @admin.action(description="End at last activity", permissions=["delete"])
    def end_at_last_activity(self, request: HttpRequest, queryset: QuerySet[RecordingSession]) -> None:
        """Stop those that still run, as of when something last happened in them."""
        forgotten = list(queryset.filter(is_active=True).select_related("repo__owner"))
        for session in forgotten:
            recorder.end_at_last_activity(session, actor=_operator(request))
        self.message_user(request, f"Ended: {len(forgotten)}.", messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A session is started by its author."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: RecordingSession | None = None) -> bool:
        """Sessions are read-only here."""
        return False


class _ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """To look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False


@admin.register(Activity)
class ActivityAdmin(_ReadOnly):
    """Who did what, and when. It goes with its repo, never by itself."""

    list_display = ["at", "kind", "actor_name", "repo"]
    list_filter = ["kind", "at"]
    list_select_related = ["repo"]
    search_fields = ["actor_name", "repo__name"]
    date_hierarchy = "at"

    def has_delete_permission(self, request: HttpRequest, obj: Activity | None = None) -> bool:
        """Not from its own pages, but with what it is about."""
        match = request.resolver_match
        return match is None or not (match.url_name or "").startswith("musehub_activity_")


@admin.register(FeedAddress)
class FeedAddressAdmin(_ReadOnly):
    """Whose calendar may fetch which repo; deleting an address revokes it."""

    list_display = ["user_email", "repo", "created_at"]
    list_filter = ["created_at"]
    list_select_related = ["user", "repo"]
    search_fields = ["user__email", "repo__name"]
    fields = readonly_fields = ("user", "repo", "created_at")

    @admin.display(description="user", ordering="user__email")
    def user_email(self, address: FeedAddress) -> str:
        """Whose it is."""
        return address.user.email
