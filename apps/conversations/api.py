"""The chat part of the API: parse, call a model's method or the engine, render."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.authentication import Credential
from apps.accounts.leases import held
from apps.accounts.models import User
from apps.conversations import engine
from apps.conversations.engine.events import (
    ConversationJSON,
    MessageJSON,
    conversation_created,
    conversation_group,
    conversation_json,
    conversation_updated,
    message_json,
    personal_group,
)
from apps.conversations.engine.follow import TERMINAL_TYPES
from apps.conversations.models import Conversation, Message, Place, attach_siblings
from apps.conversations.search import FoundJSON, Query, result_json, search
from apps.conversations.serializers import (
    ChangeConversation,
    CreateConversation,
    EditContent,
    MoveHead,
    RegenerateOptions,
    SendMessage,
)
from apps.core import sse
from apps.core.database import in_database
from apps.core.errors import NotFound
from apps.core.realtime import Event, announce, subscribe
from apps.core.rest import query_integer
from apps.core.schema import schema_of

CONVERSATION = schema_of(ConversationJSON)
MESSAGE = schema_of(MessageJSON)
MAX_PAGE = 200
DEFAULT_PAGE = 50
MAX_RESULTS = 100
DEFAULT_RESULTS = 20
STREAM = OpenApiResponse(
    MESSAGE,
    description="An event stream of `created`, `delta` … and one of `done`, `stopped`, `error`; see docs/protocol.md.",
)
# On the event stream, the same events go by shorter names.
FRAMES = {
    "generation.delta": "delta",
    "message.completed": "done",
    "message.stopped": "stopped",
    "message.failed": "error",
}


def page_parameters(*names: str) -> list[OpenApiParameter]:
    """The schema of the query's paging parameters."""
    return [OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE}"), *(OpenApiParameter(name) for name in names)]


class View(GenericAPIView[Any]):
    """What the views here share: who asks, the command in the body, and the one door to rows."""

    serializer_class: type[serializers.Serializer[Any]] = serializers.Serializer
    # The browsable API asks for it when a page shows a list; no view here reads rows through it.
    queryset = Conversation.objects.none()

    @property
    def person(self) -> User:
        """Who asks."""
        user = self.request.user
        assert isinstance(user, User)
        return user

    @property
    def credential(self) -> Credential:
        """By which session or token they ask."""
        credential: object = self.request.auth
        assert isinstance(credential, Credential)
        return credential

    def command(self, *, partial: bool = False) -> dict[str, Any]:
        """The body's fields; raises ValidationError."""
        serializer = self.get_serializer(data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def conversation(self, pk: int) -> Conversation:
        """One of this person's; raises `NotFound`."""
        found = Conversation.objects.opened_by(self.person, pk)
        if found is None:
            raise NotFound
        return found

    def locked_conversation(self, pk: int) -> Conversation:
        """The same, which nobody else changes or deletes until the running transaction ends."""
        found = Conversation.objects.visible_to(self.person).select_for_update().filter(pk=pk).first()
        if found is None:
            raise NotFound
        return found

    def message(self, pk: int) -> Message:
        """One in this person's conversations; raises `NotFound`."""
        mine = Message.objects.visible_to(self.person).select_related("conversation", "parent")
        found = mine.filter(pk=pk).first()
        if found is None:
            raise NotFound
        return found

    def page_size(self) -> int:
        """`?limit=`."""
        raw = self.request.query_params.get("limit")
        return query_integer(raw, name="limit", default=DEFAULT_PAGE, low=1, high=MAX_PAGE)


class Conversations(View):
    """A person's conversations."""

    serializer_class = CreateConversation

    @extend_schema(
        operation_id="chat_conversations_list",
        parameters=[*page_parameters("cursor"), OpenApiParameter("archived", bool)],
        responses={200: {"type": "array", "items": CONVERSATION}},
    )
    def get(self, request: Request) -> Response:
        """Pinned first, then the newest activity; the next page is in the `Link` header."""
        archived = request.query_params.get("archived") == "true"
        mine = Conversation.objects.visible_to(self.person).kept().filter(archived__in=[archived]).by_activity()
        if cursor := request.query_params.get("cursor"):
            mine = mine.after(read_cursor(cursor))
        size = self.page_size()
        rows = list(mine[: size + 1])
        response = Response([conversation_json(row) for row in rows[:size]])
        if len(rows) > size:
            response.headers["Link"] = f'<{next_page(request, rows[size - 1])}>; rel="next"'
        return response

    @extend_schema(responses={200: CONVERSATION})
    def post(self, request: Request) -> Response:
        """Make one; the body may be empty."""
        with transaction.atomic():
            conversation = Conversation.objects.create(owner=self.person, **self.command())
            announce(personal_group(self.person.pk), conversation_created(conversation))
        return Response(conversation_json(conversation))


def next_page(request: Request, last: Conversation) -> str:
    """The address of the page after this row."""
    query = request.query_params.copy()
    query["cursor"] = str(Place.of(last))
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def read_cursor(cursor: str) -> Place:
    """The place that a cursor names; raises ValidationError."""
    try:
        return Place.read(cursor)
    except ValueError:
        raise serializers.ValidationError({"cursor": ["This is no cursor of ours."]}) from None


class ConversationDetail(View):
    """One conversation."""

    serializer_class = ChangeConversation

    @extend_schema(
        parameters=page_parameters("before"),
        responses={
            200: {
                "type": "object",
                "required": ["conversation", "messages"],
                "properties": {"conversation": CONVERSATION, "messages": {"type": "array", "items": MESSAGE}},
            }
        },
    )
    def get(self, request: Request, pk: int) -> Response:
        """With the newest messages of its active branch, oldest first; `before` pages upward."""
        conversation = self.conversation(pk)
        raw = request.query_params.get("before")
        before = query_integer(raw, name="before", default=2**63 - 1, low=1, high=2**63 - 1)
        messages, _ = conversation.branch(limit=self.page_size(), before=before)
        return Response(
            {"conversation": conversation_json(conversation), "messages": [message_json(each) for each in messages]}
        )

    @extend_schema(responses={200: CONVERSATION})
    def patch(self, request: Request, pk: int) -> Response:
        """Rename, pin, archive, or choose its model."""
        with transaction.atomic():
            conversation = self.locked_conversation(pk)
            conversation.change(self.command(partial=True))
            tell(conversation)
        return Response(conversation_json(conversation))

    @extend_schema(responses={200: schema_of(dict[str, str])})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete it with all that was said in it; a reply being written ends."""
        with transaction.atomic():
            conversation = self.locked_conversation(pk)
            engine.stop(conversation.pk)
            conversation.delete()
        return Response({"message": "Conversation deleted"})


def tell(conversation: Conversation) -> None:
    """Its watchers and its owner's pages hear that it changed."""
    event = conversation_updated(conversation)
    announce(conversation_group(conversation.pk), event)
    announce(personal_group(conversation.owner_id), event)


class TurnView(View):
    """Begins a turn and answers with its event stream, or with the finished reply for whoever wants JSON."""

    renderer_classes = [sse.EventStreamRenderer, JSONRenderer, BrowsableAPIRenderer]

    def run(self, turn: engine.Turn) -> Response | StreamingHttpResponse:
        """Launch first: a client that leaves at once loses nothing."""
        engine.launch(turn)
        if isinstance(self.request.accepted_renderer, sse.EventStreamRenderer):
            return sse.response(while_signed_in(self.credential, turn_frames(turn)))
        if not connection.in_atomic_block:
            connection.close()  # the wait may be long, and others need one
        return Response(async_to_sync(finished_reply)(self.credential, turn))


class Messages(TurnView):
    """What is said in a conversation."""

    serializer_class = SendMessage

    @extend_schema(responses={(200, "text/event-stream"): STREAM, (200, "application/json"): MESSAGE})
    def post(self, request: Request, pk: int) -> Response | StreamingHttpResponse:
        """Ask. With a `client_id` this may be sent again: the model is asked once."""
        return self.run(engine.begin(self.conversation(pk), **self.command()))


class Regenerate(TurnView):
    """Another answer."""

    serializer_class = RegenerateOptions

    @extend_schema(responses={(200, "text/event-stream"): STREAM, (200, "application/json"): MESSAGE})
    def post(self, request: Request, pk: int) -> Response | StreamingHttpResponse:
        """A new sibling of the given reply."""
        return self.run(engine.regenerate(self.message(pk), **self.command()))


class MessageDetail(TurnView):
    """One message."""

    serializer_class = EditContent

    @extend_schema(responses={(200, "text/event-stream"): STREAM, (200, "application/json"): MESSAGE})
    def patch(self, request: Request, pk: int) -> Response | StreamingHttpResponse:
        """Ask differently: a new sibling of the question, and a reply to it. The old branch stays."""
        return self.run(engine.edit(self.message(pk), **self.command()))


class Stop(View):
    """The running turn."""

    @extend_schema(request=None, responses={200: schema_of(dict[str, bool])})
    def post(self, request: Request, pk: int) -> Response:
        """End it; what was said so far is kept. `stopped` is false when nothing was running."""
        return Response({"stopped": engine.stop(self.conversation(pk).pk)})


class Head(View):
    """Which branch is read."""

    serializer_class = MoveHead

    @extend_schema(responses={200: CONVERSATION})
    def post(self, request: Request, pk: int) -> Response:
        """Make that message's branch the active one."""
        with transaction.atomic():
            conversation = self.locked_conversation(pk)
            message = conversation.messages.filter(pk=self.command()["message_id"]).first()
            if message is None:
                raise NotFound
            conversation.show(message)
            tell(conversation)
        return Response(conversation_json(conversation))


class Search(View):
    """What was said, found again."""

    @extend_schema(
        operation_id="chat_search",
        parameters=[
            OpenApiParameter("q", description="Words and filters; see docs/protocol.md."),
            OpenApiParameter("limit", int, description=f"1 to {MAX_RESULTS}"),
        ],
        responses={200: schema_of(FoundJSON)},
    )
    def get(self, request: Request) -> Response:
        """Titles and messages by words and by meaning, best first."""
        raw = request.query_params.get("limit")
        limit = query_integer(raw, name="limit", default=DEFAULT_RESULTS, low=1, high=MAX_RESULTS)
        found = search(self.person, Query.read(request.query_params.get("q", "")), limit=limit)
        return Response({"results": [result_json(result) for result in found]})


class Events(View):
    """A conversation, followed."""

    renderer_classes = [sse.EventStreamRenderer, JSONRenderer]
    # Without HEAD, whose answer would never end.
    http_method_names = ["get", "options"]

    @extend_schema(responses={(200, "text/event-stream"): STREAM})
    def get(self, request: Request, pk: int) -> StreamingHttpResponse:
        """An event stream: `snapshot`, then the frames of every turn."""
        return sse.response(while_signed_in(self.credential, conversation_frames(self.conversation(pk))))


async def finished_reply(credential: Credential, turn: engine.Turn) -> MessageJSON:
    """The reply once it is over, whatever its status; raises NotAuthenticated when the sign-in ends first."""
    with held(credential) as ended:
        finished, end = asyncio.create_task(engine.finished(turn)), asyncio.create_task(ended.wait())
        await asyncio.wait({finished, end}, return_when=asyncio.FIRST_COMPLETED)
        for task in (finished, end):
            task.cancel()
        await asyncio.gather(finished, end, return_exceptions=True)
    if finished.cancelled():
        raise NotAuthenticated
    return finished.result()["message"]


async def while_signed_in(
    credential: Credential, frames: AsyncGenerator[sse.Frame, None]
) -> AsyncGenerator[sse.Frame, None]:
    """The frames, until the session, token or account ends."""
    with held(credential) as ended:
        async with aclosing(sse.until(ended, frames)) as allowed:
            async for frame in allowed:
                yield frame


async def turn_frames(turn: engine.Turn) -> AsyncGenerator[sse.Frame, None]:
    """`created`, then what follows until the turn's end."""
    yield created_frame(turn)
    async with aclosing(engine.follow(turn)) as events:
        async for event in events:
            yield frame_of(event)


def created_frame(turn: engine.Turn) -> sse.Frame:
    """The stored pair."""
    return "created", {"user_message": message_json(turn.question), "message": message_json(turn.reply)}


def frame_of(event: Event) -> sse.Frame:
    """A socket's event as a frame of the event stream: the name moves out of the body."""
    return FRAMES[event["type"]], {name: value for name, value in event.items() if name != "type"}


async def conversation_frames(conversation: Conversation) -> AsyncGenerator[sse.Frame, None]:
    """Where things stand, then every turn. Joined first, read second; deltas that the snapshot holds are dropped."""
    async with subscribe(conversation_group(conversation.pk)) as subscription:
        streaming = await engine.snapshot(conversation.pk)
        yield "snapshot", {"conversation": conversation_json(conversation), "streaming": streaming}
        seen = (streaming["message_id"], streaming["seq"]) if streaming else (0, 0)
        while (event := await subscription.next())["type"] != "conversation.deleted":
            if event["type"] == "message.created" and event["message"]["role"] == Message.Role.ASSISTANT:
                if (question := await in_database(_question, event["message"])) is not None:
                    yield "created", {"user_message": question, "message": event["message"]}
            elif event["type"] in TERMINAL_TYPES or _is_delta_after(event, seen):
                yield frame_of(event)


def _is_delta_after(event: Event, seen: tuple[int, int]) -> bool:
    return event["type"] == "generation.delta" and (event["message_id"], event["seq"]) > seen


def _question(reply: MessageJSON) -> MessageJSON | None:
    """What the reply answers; None when it was deleted meanwhile."""
    question = Message.objects.filter(children=reply["id"]).first()
    if question is None:
        return None
    attach_siblings([question])
    return message_json(question)
