"""The studio's pages: repos, sessions, and what their forms do. Forms work without scripts; with them a page follows
along and changes in place.

Who may is decided in `doors`. Times are read and shown in the reader's own zone; the heatmap's days are UTC's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import User
from apps.core.errors import InvalidInput
from apps.core.pages import as_id
from apps.musehub import exports, forms, recorder
from apps.musehub.doors import (
    PageRequest,
    door,
    is_owner,
    is_signed_in,
    owners,
    person_of,
    readers,
    sign_in,
    user_of,
    writers,
)
from apps.musehub.errors import NotesFull, RepoExists, SessionIsLive, VersionMoved
from apps.musehub.heatmap import Heatmap
from apps.musehub.models import (
    FeedAddress,
    Place,
    RecordingSession,
    RecordingSessionQuerySet,
    Repo,
    RepoQuerySet,
)

REPOS_A_PAGE = 50
SESSIONS_A_PAGE = 20
LIVE_SHOWN = 5
ACTIVITY_SHOWN = 12
# What a list of sessions does not show of them, and may be long.
UNLISTED = ("notes", "commits")
CALENDAR = "text/calendar; charset=utf-8"


# --- The studio: repos


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def studio(request: PageRequest) -> HttpResponse:
    """My repos, everyone's public ones, and a form to make one."""
    if person_of(request) is None:
        return sign_in(request)
    if request.method != "POST":
        return _studio(request, forms.RepoForm())
    form = forms.RepoForm(request.POST)
    if not form.is_valid():
        return _studio(request, form, status=422)
    try:
        made = recorder.open_repo(user_of(request), **form.cleaned_data)
    except RepoExists as refusal:
        form.add_error("name", refusal.detail)
        return _studio(request, form, status=refusal.status)
    return _to_repo(made)


def _studio(request: PageRequest, form: forms.RepoForm, status: int = 200) -> HttpResponse:
    mine = Repo.objects.visible_to(user_of(request))
    others = Repo.objects.public().exclude(pk__in=mine.values("pk"))
    shelves = {name: Shelf.of(rows, request, name) for name, rows in (("mine", mine), ("public", others))}
    shown = [repo for shelf in shelves.values() for repo in shelf.repos]
    live = RecordingSession.objects.live().filter(repo__in=shown).values_list("repo_id", flat=True)
    context = {"shelves": shelves, "form": form, "live": set(live)}
    return render(request, "musehub/studio.html", context, status=status)


@dataclass(frozen=True)
class Shelf:
    """Some repos, newest first; `more` is the address of those that follow."""

    repos: list[Repo]
    more: str | None

    @classmethod
    def of(cls, rows: RepoQuerySet, request: HttpRequest, name: str) -> Shelf:
        """Those below the id that the address gives this shelf."""
        before = request.GET.get(name, "")
        if before:
            rows = rows.filter(pk__lt=as_id(before))
        found = list(rows.newest_first().select_related("owner")[: REPOS_A_PAGE + 1])
        repos = found[:REPOS_A_PAGE]
        return cls(repos, f"?{urlencode({name: repos[-1].pk})}" if len(found) > len(repos) else None)


# --- A repo


@readers
def repo(request: PageRequest, shown: Repo) -> HttpResponse:
    """Its figures, its year, and its sessions; of the sessions alone where the page asks for them as they change."""
    if request.htmx:
        return render(request, "musehub/_found.html", _found(request, shown))
    return _repo_page(request, shown)


def _repo_page(request: PageRequest, shown: Repo, status: int = 200, **forms_shown: object) -> HttpResponse:
    person = person_of(request)
    today = timezone.now().date()
    year = Heatmap({}, today)
    # Here a session is named by its intent.
    activity = shown.activity.newest_first().defer(None).defer("session__notes", "session__commits")
    context: dict[str, object] = {
        **_found(request, shown),
        "is_owner": is_owner(shown, person),
        "statistics": shown.statistics(),
        "heatmap": Heatmap(shown.hours_by_day(year.first, today), today),
        "live_sessions": shown.sessions.live().in_order().defer(*UNLISTED)[:LIVE_SHOWN],
        "activity": activity[:ACTIVITY_SHOWN],
        "seen": _newest_activity(shown),
        "start_form": forms.StartForm(),
    }
    return render(request, "musehub/repo.html", context | forms_shown, status=status)


def _found(request: PageRequest, shown: Repo) -> dict[str, object]:
    """The sessions that the filters of the address let through, from where `after` says."""
    filters = forms.FilterForm(request.GET)
    rows = filters.narrow(shown.sessions.all()) if filters.is_valid() else shown.sessions.none()
    place = _place(request.GET.get("after", ""))
    following = rows.in_order() if place is None else rows.in_order().after(place)
    found = list(following.defer(*UNLISTED)[: SESSIONS_A_PAGE + 1])
    sessions = found[:SESSIONS_A_PAGE]
    query = filters.query()
    more = {**query, "after": str(Place.of(sessions[-1]))} if len(found) > len(sessions) else None
    return {
        "repo": shown,
        "may_write": shown.may_write(person_of(request)),
        "filters": filters,
        "is_filtered": bool(query),
        "is_continued": place is not None,
        "sessions": sessions,
        "total": rows.count(),
        "query": f"?{urlencode(query)}" if query else "",
        "more": f"{_repo_path(shown)}?{urlencode(more)}" if more else None,
    }


def _place(text: str) -> Place | None:
    try:
        return Place.read(text) if text else None
    except ValueError:
        raise Http404 from None


@writers
def start(request: PageRequest, shown: Repo) -> HttpResponse:
    """A session that begins now."""
    form = forms.StartForm(request.POST)
    if not form.is_valid():
        return _repo_page(request, shown, 422, start_form=form)
    begun, _ = recorder.start(shown, user_of(request), **form.cleaned_data)
    return _to_session(begun)


@door(Repo.may_write, "GET", "HEAD", "POST")
def log(request: PageRequest, shown: Repo) -> HttpResponse:
    """A session that is over already."""
    form = forms.LogForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(request, "musehub/log.html", {"repo": shown, "form": form}, status=status)
    logged, _ = recorder.start(shown, user_of(request), **form.cleaned_data)
    return _to_session(logged)


# --- A session


@readers
def session(request: PageRequest, shown: Repo, session_id: str) -> HttpResponse:
    """Its notes, its people, its commits, and how long it took or takes; with `?edit=notes` a form for the notes."""
    found = _session_or_404(shown, session_id)
    is_edited = request.GET.get("edit") == "notes" and shown.may_write(person_of(request))
    return _session_page(request, found, notes_form=_notes_form(found, found.notes) if is_edited else None)


def _session_or_404(shown: Repo, session_id: str) -> RecordingSession:
    """By its whole id, and only in its own repo."""
    found = RecordingSession.objects.in_repo(shown, session_id)
    if found is None:
        raise Http404
    return found


def _session_page(
    request: PageRequest, found: RecordingSession, status: int = 200, **forms_shown: object
) -> HttpResponse:
    about = {name: getattr(found, name) for name in ("intent", "participants", "location", "commits", "version")}
    context: dict[str, object] = {
        "repo": found.repo,
        "session": found,
        "may_write": found.repo.may_write(person_of(request)),
        "append_form": _append_form(),
        "details_form": forms.DetailsForm(initial=about),
        "end_form": forms.EndForm(initial={"ended_at": found.ended_at}),
        "activity": found.activity.newest_first()[:ACTIVITY_SHOWN],
        "seen": _newest_activity(found.repo),
    }
    return render(request, "musehub/session.html", context | forms_shown, status=status)


def _notes_form(found: RecordingSession, notes: str) -> forms.NotesForm:
    return forms.NotesForm(initial={"notes": notes, "version": found.version})


def _append_form() -> forms.AppendForm:
    return forms.AppendForm(initial={"client_id": token_hex(16)})


def _newest_activity(shown: Repo) -> int | None:
    return shown.activity.newest_first().values_list("pk", flat=True).first()


@writers
def stop(request: PageRequest, shown: Repo, session_id: str) -> HttpResponse:
    """It ends now; one that is over stays as it is."""
    return _to_session(recorder.stop(_session_or_404(shown, session_id), actor=user_of(request)))


@writers
def mend_end(request: PageRequest, shown: Repo, session_id: str) -> HttpResponse:
    """It really ended at another time."""
    found = _session_or_404(shown, session_id)
    form = forms.EndForm(request.POST)
    if not form.is_valid():
        return _session_page(request, found, 422, end_form=form)
    try:
        recorder.edit(found, form.cleaned_data, actor=user_of(request))
    except SessionIsLive as refusal:
        messages.warning(request, refusal.detail)
    return _to_session(found)


@writers
def save_notes(request: PageRequest, shown: Repo, session_id: str) -> HttpResponse:
    """Other notes, unless somebody changed the session since they were read: then both are shown."""
    found = _session_or_404(shown, session_id)
    form = forms.NotesForm(request.POST)
    if not form.is_valid():
        return _session_page(request, found, 422, notes_form=form)
    notes = form.cleaned_data["notes"]
    try:
        recorder.edit(found, {"notes": notes}, actor=user_of(request), expected_version=form.cleaned_data["version"])
    except VersionMoved as refusal:
        found.refresh_from_db(fields=["notes", "version"])
        return _session_page(request, found, refusal.status, notes_form=_notes_form(found, notes), notes_conflict=True)
    return _to_session(found)


@writers
def append_note(request: PageRequest, shown: Repo, session_id: str) -> HttpResponse:
    """A dated note below the others, once however often the form is sent."""
    found = _session_or_404(shown, session_id)
    form = forms.AppendForm(request.POST)
    if not form.is_valid():
        return _session_page(request, found, 422, append_form=form)
    try:
        recorder.append_note(found, form.cleaned_data["text"], form.cleaned_data["client_id"], actor=user_of(request))
    except NotesFull as refusal:
        form.add_error("text", refusal.detail)
        return _session_page(request, found, refusal.status, append_form=form)
    return _to_session(found)


@writers
def save_details(request: PageRequest, shown: Repo, session_id: str) -> HttpResponse:
    """Another intent, other people, place or commits, under the same condition as the notes."""
    found = _session_or_404(shown, session_id)
    form = forms.DetailsForm(request.POST)
    if not form.is_valid():
        return _session_page(request, found, 422, details_form=form)
    fields = dict(form.cleaned_data)
    try:
        recorder.edit(found, fields, actor=user_of(request), expected_version=fields.pop("version"))
    except VersionMoved as refusal:
        found.refresh_from_db()
        again = forms.DetailsForm(initial={**fields, "version": found.version})
        return _session_page(request, found, refusal.status, details_form=again, details_conflict=True)
    return _to_session(found)


# --- Who else, and what a repo is called


@door(is_signed_in, "GET", "HEAD", "POST")
def repo_settings(request: PageRequest, shown: Repo) -> HttpResponse:
    """A reader's calendar address; to the owner also collaborators, name and visibility."""
    if request.method != "POST":
        return _settings(request, shown)
    if not is_owner(shown, person_of(request)):
        raise PermissionDenied
    form = forms.RepoForm(request.POST)
    if not form.is_valid():
        return _settings(request, shown, 422, repo_form=form)
    recorder.change_repo(shown, form.cleaned_data, actor=user_of(request))
    return _changed(request, shown, "The repo is changed.")


def _settings(request: PageRequest, shown: Repo, status: int = 200, **what: object) -> HttpResponse:
    current = {name: getattr(shown, name) for name in ("name", "description", "visibility")}
    context: dict[str, object] = {
        "repo": shown,
        "is_owner": is_owner(shown, person_of(request)),
        "feed": FeedAddress.objects.visible_to(user_of(request)).filter(repo=shown).first(),
        "collaborators": shown.collaborators.order_by("username"),
        "collaborator_form": forms.CollaboratorForm(),
        "repo_form": forms.RepoForm(initial={**current, "tags": ", ".join(shown.tags)}),
    }
    return render(request, "musehub/settings.html", context | what, status=status)


@owners
def delete_repo(request: PageRequest, shown: Repo) -> HttpResponse:
    """The repo goes with all that is in it."""
    recorder.close_repo(shown)
    messages.success(request, f"“{shown.name}” is deleted.")
    return redirect("studio")


@owners
def add_collaborator(request: PageRequest, shown: Repo) -> HttpResponse:
    """Somebody may write here."""
    form = forms.CollaboratorForm(request.POST)
    if not form.is_valid():
        return _settings(request, shown, 422, collaborator_form=form)
    person = User.objects.filter(username=form.cleaned_data["username"].lower(), is_active=True).first()
    if person is None:
        form.add_error("username", "There is nobody of this username.")
        return _settings(request, shown, 422, collaborator_form=form)
    try:
        recorder.let_in(shown, person, actor=user_of(request))
    except InvalidInput as refusal:
        form.add_error("username", refusal.detail)
        return _settings(request, shown, refusal.status, collaborator_form=form)
    return _changed(request, shown, f"{person.username} may write here now.")


@owners
def remove_collaborator(request: PageRequest, shown: Repo, user_id: int) -> HttpResponse:
    """Somebody may write here no longer."""
    person = get_object_or_404(shown.collaborators, pk=user_id)
    recorder.keep_out(shown, person, actor=user_of(request))
    return _changed(request, shown, f"{person.username} may write here no longer.")


# --- Files and feeds


@readers
def export_csv(request: PageRequest, shown: Repo) -> HttpResponse:
    """The sessions that the filters let through, for spreadsheets."""
    return _export(request, shown, "csv", "text/csv; charset=utf-8", exports.as_csv)


@readers
def export_json(request: PageRequest, shown: Repo) -> HttpResponse:
    """The same for programs."""
    return _export(request, shown, "json", "application/json", partial(exports.as_json, shown))


@readers
def export_calendar(request: PageRequest, shown: Repo) -> HttpResponse:
    """The same for calendars."""
    return _export(request, shown, "ics", CALENDAR, partial(_calendar, request, shown))


def _export(
    request: PageRequest, shown: Repo, suffix: str, kind: str, write: Callable[[RecordingSessionQuerySet], str]
) -> HttpResponse:
    filters = forms.FilterForm(request.GET)
    if not filters.is_valid():
        return _repo_page(request, shown, 422)
    rows = filters.narrow(shown.sessions.all()).in_order()
    named = {"Content-Disposition": f'attachment; filename="{shown.slug}.{suffix}"'}
    return HttpResponse(write(rows), content_type=kind, headers=named)


def _calendar(request: PageRequest, shown: Repo, rows: RecordingSessionQuerySet) -> str:
    def address(found: RecordingSession) -> str:
        return request.build_absolute_uri(_session_path(found))

    return exports.as_calendar(shown, rows, now=timezone.now(), address=address)


@never_cache
@require_safe
def feed(request: PageRequest, secret: str) -> HttpResponse:
    """All sessions as a calendar, for whoever knows the secret, as long as whose it is may read them."""
    found = FeedAddress.objects.with_secret(secret)
    if found is None:
        raise Http404
    rows = found.repo.sessions.in_order()
    return HttpResponse(_calendar(request, found.repo, rows), content_type=CALENDAR)


@door(is_signed_in, "POST")
def make_feed(request: PageRequest, shown: Repo) -> HttpResponse:
    """A calendar address, shown on the page that answers and never again; one that there was ends."""
    _, secret = FeedAddress.objects.issue(user_of(request), shown)
    address = request.build_absolute_uri(reverse("studio-feed", args=[secret]))
    return _settings(request, shown, 201, feed_address=address)


@door(is_signed_in, "POST")
def revoke_feed(request: PageRequest, shown: Repo) -> HttpResponse:
    """One's calendar address opens nothing any more."""
    FeedAddress.objects.visible_to(user_of(request)).filter(repo=shown).delete()
    return _changed(request, shown, "The address is revoked.")


# --- Where a form leads


def _changed(request: PageRequest, shown: Repo, sentence: str) -> HttpResponse:
    messages.success(request, sentence)
    return redirect("studio-settings", shown.owner.username, shown.slug)


def _to_repo(shown: Repo) -> HttpResponse:
    return redirect(_repo_path(shown))


def _to_session(found: RecordingSession) -> HttpResponse:
    return redirect(_session_path(found))


def _repo_path(shown: Repo) -> str:
    return reverse("studio-repo", args=[shown.owner.username, shown.slug])


def _session_path(found: RecordingSession) -> str:
    return reverse("studio-session", args=[found.repo.owner.username, found.repo.slug, found.session_id])
