"""Everything that is published about conversations, as it goes over the wire (docs/protocol.md).

The JSON of a conversation and of a message is made here, once, for sockets, event streams and the API alike.
"""

from __future__ import annotations

from typing import Literal, TypedDict, cast

from apps.conversations.models import Conversation, Message

Role = Literal["user", "assistant"]
Status = Literal["streaming", "complete", "stopped", "failed", "interrupted"]


class ConversationJSON(TypedDict):
    """A conversation."""

    id: int
    title: str
    pinned: bool
    archived: bool
    model: str | None
    persona_id: int | None
    memory: bool
    temporary: bool
    created_at: str
    updated_at: str


class UsageJSON(TypedDict):
    """Tokens, as the model server counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ErrorJSON(TypedDict):
    """Why a reply failed or broke off."""

    code: str
    detail: str


class SourceJSON(TypedDict):
    """A memory that a reply was told of: the message it is from, when that was said, and how well it fitted the
    question. It holds no text: what is forgotten later must not live on here."""

    message_id: int
    created_at: str
    score: float


class MessageJSON(TypedDict):
    """A message; `siblings` are the ids with the same parent, itself among them, in order. Times in ISO 8601."""

    id: int
    conversation_id: int
    parent_id: int | None
    siblings: list[int]
    role: Role
    content: str
    status: Status
    model: str | None
    usage: UsageJSON | None
    sources: list[SourceJSON]
    degraded: list[str]
    error: ErrorJSON | None
    generation_time_ms: int | None
    time_to_first_token_ms: int | None
    client_id: str | None
    created_at: str


class StreamingJSON(TypedDict):
    """The reply being written: its text so far, and the number of the last delta in it."""

    message_id: int
    seq: int
    text: str


class ConversationSnapshot(TypedDict):
    """The first frame: where things stand."""

    type: Literal["conversation.snapshot"]
    conversation: ConversationJSON
    streaming: StreamingJSON | None


class ConversationEvent(TypedDict):
    """A conversation was made, or changed."""

    type: Literal["conversation.created", "conversation.updated"]
    conversation: ConversationJSON


class ConversationDeleted(TypedDict):
    """A conversation is gone."""

    type: Literal["conversation.deleted"]
    conversation_id: int


class MessageEvent(TypedDict):
    """A message was written, or a reply reached its end in good order; carries it whole."""

    type: Literal["message.created", "message.completed", "message.stopped"]
    message: MessageJSON


class MessageFailed(TypedDict):
    """A reply failed or broke off; carries it whole, and why."""

    type: Literal["message.failed"]
    message: MessageJSON
    code: str
    detail: str


class TurnStarted(TypedDict):
    """The model is being asked."""

    type: Literal["turn.started"]
    message_id: int
    model: str | None
    sources: list[SourceJSON]
    degraded: list[str]


class GenerationDelta(TypedDict):
    """More text; `seq` counts 1, 2, 3 … within a turn."""

    type: Literal["generation.delta"]
    message_id: int
    seq: int
    text: str


TerminalEvent = MessageEvent | MessageFailed


def conversation_group(conversation_id: int) -> str:
    """Whoever has this conversation open."""
    return f"conversation.{conversation_id}"


def personal_group(user_id: int) -> str:
    """The pages of one person."""
    return f"user.{user_id}"


def conversation_json(conversation: Conversation) -> ConversationJSON:
    """The conversation as it goes over the wire."""
    return {
        "id": conversation.pk,
        "title": conversation.title,
        "pinned": conversation.pinned,
        "archived": conversation.archived,
        "model": conversation.model or None,
        "persona_id": None,
        "memory": conversation.memory,
        "temporary": conversation.temporary,
        "created_at": conversation.created_at.isoformat(),
        "updated_at": conversation.updated_at.isoformat(),
    }


def message_json(message: Message) -> MessageJSON:
    """The message as it goes over the wire; its siblings must be attached."""
    return {
        "id": message.pk,
        "conversation_id": message.conversation_id,
        "parent_id": message.parent_id,
        "siblings": message.siblings,
        "role": cast("Role", message.role),
        "content": message.content,
        "status": cast("Status", message.status),
        "model": message.model or None,
        "usage": _usage_json(message),
        "sources": [_source_json(source) for source in message.sources],
        "degraded": message.degraded,
        "error": error_json(message),
        "generation_time_ms": message.generation_time_ms,
        "time_to_first_token_ms": message.time_to_first_token_ms,
        "client_id": message.client_id,
        "created_at": message.created_at.isoformat(),
    }


# PostgreSQL keeps the members of an object in an order of its own, and a repeat is answered in the same bytes.


def _usage_json(message: Message) -> UsageJSON | None:
    usage = message.usage
    if usage is None:
        return None
    return {
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "total_tokens": usage["total_tokens"],
    }


def _source_json(source: SourceJSON) -> SourceJSON:
    return {"message_id": source["message_id"], "created_at": source["created_at"], "score": source["score"]}


def error_json(message: Message) -> ErrorJSON | None:
    """Why the reply has no end, or None when it has."""
    if not message.error_code:
        return None
    return {"code": message.error_code, "detail": message.error_detail}


def conversation_created(conversation: Conversation) -> ConversationEvent:
    """The event that a conversation was made."""
    return {"type": "conversation.created", "conversation": conversation_json(conversation)}


def conversation_updated(conversation: Conversation) -> ConversationEvent:
    """The event that a conversation changed."""
    return {"type": "conversation.updated", "conversation": conversation_json(conversation)}


def conversation_deleted(conversation_id: int) -> ConversationDeleted:
    """The event that a conversation is gone."""
    return {"type": "conversation.deleted", "conversation_id": conversation_id}


def message_created(message: Message) -> MessageEvent:
    """The event that a message was written."""
    return {"type": "message.created", "message": message_json(message)}


def turn_started(message: Message) -> TurnStarted:
    """The event that the model is being asked."""
    return {
        "type": "turn.started",
        "message_id": message.pk,
        "model": message.model or None,
        "sources": message.sources,
        "degraded": message.degraded,
    }


def generation_delta(message_id: int, seq: int, text: str) -> GenerationDelta:
    """The event that more text came."""
    return {"type": "generation.delta", "message_id": message_id, "seq": seq, "text": text}


def terminal(message: Message) -> TerminalEvent:
    """The last event of a turn, from the finished message."""
    body = message_json(message)
    if error := body["error"]:
        return {"type": "message.failed", "message": body, **error}
    if message.status == Message.Status.STOPPED:
        return {"type": "message.stopped", "message": body}
    return {"type": "message.completed", "message": body}
