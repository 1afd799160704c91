"""MuseHub's API: parse, call the recorder, render. Who may is decided by the doors of `View` and nowhere else.

A private repo is a 401 to nobody signed in and a 404 to a stranger; a public one is everybody's to read, and a 403 to
who would write there and may not.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn, TypedDict

from django.db.models import Model, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import User
from apps.core.errors import NotFound
from apps.core.rest import query_integer
from apps.core.schema import schema_of
from apps.musehub import recorder
from apps.musehub.errors import MayNotWrite
from apps.musehub.events import (
    ActivityJSON,
    CollaboratorJSON,
    RepoJSON,
    SessionJSON,
    activity_json,
    collaborator_json,
    repo_json,
    session_json,
)
from apps.musehub.identity import is_id
from apps.musehub.models import Place, RecordingSession, RecordingSessionQuerySet, Repo, RepoQuerySet
from apps.musehub.serializers import (
    AppendNote,
    ChangeRepo,
    ChangeSession,
    CreateRepo,
    CreateSession,
    RepoFilters,
    SessionFilters,
    StopSession,
)

MAX_PAGE = 200
DEFAULT_PAGE = 50
_BIGGEST = 2**63 - 1


class RepoPage(TypedDict):
    """Some repos; `total` of them all."""

    repos: list[RepoJSON]
    total: int
    nextCursor: str | None


class SessionPage(TypedDict):
    """Some sessions; `total` of all that pass the filters."""

    sessions: list[SessionJSON]
    total: int
    nextCursor: str | None


class ActivityPage(TypedDict):
    """Some of what happened."""

    events: list[ActivityJSON]
    nextCursor: str | None


class Collaborators(TypedDict):
    """Who may write beside the owner."""

    collaborators: list[CollaboratorJSON]


REPO, SESSION, COLLABORATOR = schema_of(RepoJSON), schema_of(SessionJSON), schema_of(CollaboratorJSON)
PAGING = [OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE}"), OpenApiParameter("cursor")]


class View(GenericAPIView[Any]):
    """What the views here share: who asks, the command in the body, and the doors to repos and sessions."""

    permission_classes = [IsAuthenticatedOrReadOnly]
    serializer_class: type[serializers.Serializer[Any]] = serializers.Serializer

    @property
    def asker(self) -> User | None:
        """Who asks, None for nobody signed in."""
        return self.request.user if isinstance(self.request.user, User) else None

    @property
    def person(self) -> User:
        """Who asks; raises NotAuthenticated for nobody."""
        if self.asker is None:
            raise NotAuthenticated
        return self.asker

    def command(self, *, partial: bool = False) -> dict[str, Any]:
        """The body's fields by the model's names; raises ValidationError."""
        serializer = self.get_serializer(data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def readable(self, repo_id: str) -> Repo:
        """A repo that the asker may read; raises `NotFound`, and NotAuthenticated to nobody where there is one."""
        if not is_id(repo_id):
            raise NotFound
        repo = Repo.objects.opened_by(self.asker, repo_id)
        if repo is not None:
            return repo
        if self.asker is None and Repo.objects.filter(repo_id=repo_id).exists():
            raise NotAuthenticated
        raise NotFound

    def writable(self, repo_id: str) -> Repo:
        """A repo in which the person may keep sessions; raises `MayNotWrite` for one they can only read."""
        repo = self.readable(repo_id)
        if not repo.may_write(self.person):
            raise MayNotWrite
        return repo

    def owned(self, repo_id: str) -> Repo:
        """A repo of the person's own; raises as `writable`."""
        repo = self.readable(repo_id)
        if repo.owner_id != self.person.pk:
            raise MayNotWrite("Only the owner of this repo may do that.")
        return repo

    def session(self, repo: Repo, session_id: str) -> RecordingSession:
        """A session of this repo; raises `NotFound`."""
        session = RecordingSession.objects.in_repo(repo, session_id)
        if session is None:
            raise NotFound
        return session

    def page_size(self) -> int:
        """`?limit=`."""
        raw = self.request.query_params.get("limit")
        return query_integer(raw, name="limit", default=DEFAULT_PAGE, low=1, high=MAX_PAGE)

    def page_of_newest(self, rows: QuerySet[Any]) -> tuple[list[Any], str | None]:
        """One page of what is ordered by falling primary key, and the cursor of the next."""
        raw = self.request.query_params.get("cursor")
        before = query_integer(raw, name="cursor", default=_BIGGEST, low=1, high=_BIGGEST)
        page, is_more = cut(rows.filter(pk__lt=before), self.page_size())
        return page, str(page[-1].pk) if is_more else None


def cut(rows: QuerySet[Any], size: int) -> tuple[list[Any], bool]:
    """The first rows, and whether there are more."""
    found: list[Model] = list(rows[: size + 1])
    return found[:size], len(found) > size


class Repos(View):
    """Repos that one sees."""

    serializer_class = CreateRepo

    @extend_schema(
        operation_id="repos_list",
        parameters=[*PAGING, RepoFilters],
        responses={200: schema_of(RepoPage)},
    )
    def get(self, request: Request) -> Response:
        """One's own and those one collaborates on, newest first; with `visibility=public` everyone's public ones.

        With `owner` and `slug` the one they name, whoever's it is, if the asker may read it.
        """
        filters = RepoFilters(data=request.query_params)
        filters.is_valid(raise_exception=True)
        repos = self._listed(**filters.validated_data)
        page, cursor = self.page_of_newest(repos.select_related("owner").newest_first())
        return Response({"repos": [repo_json(repo) for repo in page], "total": repos.count(), "nextCursor": cursor})

    def _listed(self, visibility: str = "", owner: str = "", slug: str = "") -> RepoQuerySet:
        if owner:
            repos = Repo.objects.readable_by(self.asker).at(owner, slug)
        elif visibility == Repo.Visibility.PUBLIC:
            repos = Repo.objects.public()
        else:
            repos = Repo.objects.visible_to(self.person)
        return repos.filter(visibility=visibility) if visibility else repos

    @extend_schema(responses={201: REPO})
    def post(self, request: Request) -> Response:
        """Open one; its slug comes from its name and stays."""
        return Response(repo_json(recorder.open_repo(self.person, **self.command())), status=201)


class RepoDetail(View):
    """One repo."""

    serializer_class = ChangeRepo

    @extend_schema(responses={200: REPO})
    def get(self, request: Request, repo_id: str) -> Response:
        """Read it."""
        return Response(repo_json(self.readable(repo_id)))

    @extend_schema(responses={200: REPO})
    def patch(self, request: Request, repo_id: str) -> Response:
        """Change its name, visibility, description or tags; the owner's to do."""
        repo = self.owned(repo_id)
        return Response(repo_json(recorder.change_repo(repo, self.command(partial=True), actor=self.person)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, repo_id: str) -> Response:
        """Delete it with all its sessions; the owner's to do."""
        recorder.close_repo(self.owned(repo_id))
        return Response(status=204)


class CollaboratorList(View):
    """Who may keep sessions in a repo beside its owner."""

    @extend_schema(operation_id="repos_collaborators_list", responses={200: schema_of(Collaborators)})
    def get(self, request: Request, repo_id: str) -> Response:
        """In the order in which they were let in."""
        memberships = self.readable(repo_id).memberships.select_related("user").order_by("pk")
        return Response({"collaborators": [collaborator_json(each) for each in memberships]})


class CollaboratorDetail(View):
    """Whether somebody may; the owner's to change."""

    @extend_schema(request=None, responses={200: COLLABORATOR})
    def put(self, request: Request, repo_id: str, user_id: int) -> Response:
        """Let them in."""
        repo = self.owned(repo_id)
        user = self._user(user_id)
        if not user.is_active:
            raise NotFound
        return Response(collaborator_json(recorder.let_in(repo, user, actor=self.person)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, repo_id: str, user_id: int) -> Response:
        """Let them write no longer; what they wrote stays."""
        repo = self.owned(repo_id)
        recorder.keep_out(repo, self._user(user_id), actor=self.person)
        return Response(status=204)

    def get_object(self) -> NoReturn:
        """What OPTIONS would describe the fields of; a PUT here has none."""
        raise Http404

    @staticmethod
    def _user(user_id: int) -> User:
        user: User | None = User.objects.filter(pk=user_id).first()
        if user is None:
            raise NotFound
        return user


class Sessions(View):
    """A repo's recording sessions."""

    serializer_class = CreateSession

    @extend_schema(
        operation_id="repos_sessions_list",
        parameters=[*PAGING, SessionFilters],
        responses={200: schema_of(SessionPage)},
    )
    def get(self, request: Request, repo_id: str) -> Response:
        """Live ones first, then the newest."""
        repo = self.readable(repo_id)
        sessions = self._filtered(repo.sessions.all())
        rows = sessions.in_order()
        if cursor := request.query_params.get("cursor"):
            rows = rows.after(read_cursor(cursor))
        page, is_more = cut(rows, self.page_size())
        next_cursor = str(Place.of(page[-1])) if is_more else None
        listed = [session_json(session) for session in page]
        return Response({"sessions": listed, "total": sessions.count(), "nextCursor": next_cursor})

    def _filtered(self, sessions: RecordingSessionQuerySet) -> RecordingSessionQuerySet:
        filters = SessionFilters(data=self.request.query_params)
        filters.is_valid(raise_exception=True)
        return sessions.narrowed(**filters.validated_data)

    @extend_schema(responses={201: SESSION, 200: SESSION})
    def post(self, request: Request, repo_id: str) -> Response:
        """Start one, or log one that is over. The same author's same start is found (200), and stays as it is."""
        session, is_new = recorder.start(self.writable(repo_id), self.person, **self.command())
        return Response(session_json(session), status=201 if is_new else 200)


def read_cursor(cursor: str) -> Place:
    """The place that a cursor names; raises ValidationError."""
    try:
        return Place.read(cursor)
    except ValueError:
        raise serializers.ValidationError({"cursor": ["This is no cursor of ours."]}) from None


class SessionDetail(View):
    """One session."""

    serializer_class = ChangeSession

    @extend_schema(responses={200: SESSION})
    def get(self, request: Request, repo_id: str, session_id: str) -> Response:
        """Read it."""
        return Response(session_json(self.session(self.readable(repo_id), session_id)))

    @extend_schema(
        parameters=[OpenApiParameter("If-Match", int, OpenApiParameter.HEADER, description="the version it must have")],
        responses={200: SESSION},
    )
    def patch(self, request: Request, repo_id: str, session_id: str) -> Response:
        """Change what was said of it; with `If-Match`, only while it has that version (else 412)."""
        session = self.session(self.writable(repo_id), session_id)
        version = expected_version(request.headers.get("If-Match"))
        fields = self.command(partial=True)
        return Response(session_json(recorder.edit(session, fields, actor=self.person, expected_version=version)))


def expected_version(header: str | None) -> int | None:
    """The number in If-Match, bare or in quotes; None where any version will do. Raises ValidationError."""
    if header is None or header.strip() == "*":
        return None
    number = re.fullmatch(r'\s*("?)(\d{1,18})\1\s*', header, re.ASCII)
    if number is None:
        raise serializers.ValidationError({"If-Match": ["A session's version, a whole number."]})
    return int(number[2])


class SessionNotes(View):
    """A session's notes."""

    serializer_class = AppendNote

    @extend_schema(responses={200: SESSION})
    def post(self, request: Request, repo_id: str, session_id: str) -> Response:
        """Add one below the others, dated. With a `clientId` it may be sent again: it is added once."""
        session = self.session(self.writable(repo_id), session_id)
        return Response(session_json(recorder.append_note(session, **self.command(), actor=self.person)))


class SessionStop(View):
    """A session's end."""

    serializer_class = StopSession

    @extend_schema(responses={200: SESSION})
    def post(self, request: Request, repo_id: str, session_id: str) -> Response:
        """End it, now or when it is told; one that is over stays as it is."""
        session = self.session(self.writable(repo_id), session_id)
        return Response(session_json(recorder.stop(session, **self.command(), actor=self.person)))


class RepoActivity(View):
    """What people did in a repo."""

    @extend_schema(operation_id="repos_activity_list", parameters=PAGING, responses={200: schema_of(ActivityPage)})
    def get(self, request: Request, repo_id: str) -> Response:
        """Newest first."""
        page, cursor = self.page_of_newest(self.readable(repo_id).activity.newest_first())
        return Response({"events": [activity_json(row) for row in page], "nextCursor": cursor})
