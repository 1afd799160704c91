"""The beginning of a turn: one transaction that stores question and empty reply together, or refuses.

A repeat of a `client_id` finds the stored pair instead, so that a send may be tried again after any failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from apps.conversations.engine import boots, memories
from apps.conversations.engine.events import conversation_group, conversation_updated, personal_group
from apps.conversations.models import Conversation, Message, attach_siblings, remember_path
from apps.core.errors import Conflict, InvalidInput, NotFound, TooLarge
from apps.core.realtime import announce

MAX_CONTENT_BYTES = 1_000_000


class TurnInProgress(Conflict):
    """The conversation's reply is still being written."""

    code = "turn_in_progress"
    detail = "The previous answer is still being written. Wait for it, or stop it."


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange: a question and the reply to it."""

    conversation: Conversation
    question: Message
    reply: Message
    # The question is older than the turn: it was asked before and is answered anew.
    is_regenerated: bool = False
    # The turn was begun by an earlier request with the same `client_id`.
    is_repeat: bool = False


def begin(conversation: Conversation, *, content: str, model: str = "", client_id: str | None = None) -> Turn:
    """Ask below the active branch.

    Raises `TurnInProgress`, `TooLarge` (over 1,000,000 bytes), `NotFound` (deleted meanwhile).
    """
    check_size(content)

    def opening(current: Conversation) -> Turn:
        question = current.ask(content, parent_id=current.head_id, client_id=client_id)
        return _reply(current, question, model or current.model)

    return _open(conversation, client_id, opening)


def edit(message: Message, *, content: str, client_id: str | None = None) -> Turn:
    """Ask differently: a sibling of the question, with a reply of its own. Raises as `begin`, and `InvalidInput`."""
    check_size(content)
    if message.role != Message.Role.USER:
        raise InvalidInput("Only a question can be edited.")

    def opening(current: Conversation) -> Turn:
        question = current.ask(content, parent_id=message.parent_id, client_id=client_id)
        return _branch_off(_reply(current, question, current.model))

    return _open(message.conversation, client_id, opening)


def regenerate(message: Message, *, model: str = "", client_id: str | None = None) -> Turn:
    """Answer again: a sibling of the given reply, or a further reply to the given question. Raises as `begin`."""
    question = message if message.role == Message.Role.USER or message.parent is None else message.parent

    def opening(current: Conversation) -> Turn:
        reply = question.begin_reply(model=model or current.model, boot=boots.this_boot(), client_id=client_id or None)
        current.advance(reply, question=None)
        return _branch_off(Turn(current, question, reply, is_regenerated=True))

    return _open(message.conversation, client_id, opening)


def check_size(content: str) -> None:
    """Raise `TooLarge` for more than 1,000,000 bytes of UTF-8."""
    if len(content.encode()) > MAX_CONTENT_BYTES:
        detail = f"A message holds at most {MAX_CONTENT_BYTES:,} bytes."
        raise TooLarge(detail)


def _open(conversation: Conversation, client_id: str | None, opening: Callable[[Conversation], Turn]) -> Turn:
    """The constraints refuse, so that the usual case asks nothing first. What they refused is looked at under the
    conversation's lock: without it a twin of this send could begin in between, and this one be refused for it."""
    try:
        with transaction.atomic():
            return _open_in(_locked(conversation), opening)
    except IntegrityError:
        with transaction.atomic():
            current = _locked(conversation)
            if client_id and (stored := _stored(current, client_id)):
                return stored
            _recover_orphan(current)
            return _open_in(current, opening)


def _locked(conversation: Conversation) -> Conversation:
    """As it is now; nobody else begins in it until the running transaction ends. Raises `NotFound` when it is gone."""
    current = Conversation.objects.locked(conversation.pk)
    if current is None:
        raise NotFound
    return current


def _open_in(current: Conversation, opening: Callable[[Conversation], Turn]) -> Turn:
    boots.this_boot().beat()
    turn = opening(current)
    event = conversation_updated(current)
    announce(conversation_group(current.pk), event)
    if not current.temporary:
        announce(personal_group(current.owner_id), event)
    return turn


def _reply(conversation: Conversation, question: Message, model: str) -> Turn:
    reply = question.begin_reply(model=model, boot=boots.this_boot())
    conversation.advance(reply, question=question)
    # Below a leaf there was nothing before; `_branch_off` is for elsewhere.
    question.siblings, reply.siblings = [question.pk], [reply.pk]
    memories.remember_question(conversation, question)
    return Turn(conversation, question, reply)


def _branch_off(turn: Turn) -> Turn:
    """Where there were children before, the new one is the one to read, and has siblings; what it takes the place of
    is remembered no longer."""
    remember_path(turn.reply)
    memories.forget_replaced(turn.conversation)
    attach_siblings([turn.question, turn.reply])
    return turn


def _recover_orphan(conversation: Conversation) -> None:
    """End the reply that is in the way if nobody writes it any more; raise `TurnInProgress` if somebody does."""
    running = conversation.messages.streaming().first()
    if running is None:
        return
    orphan = Message.objects.orphaned().filter(pk=running.pk).first()
    if orphan is None:
        raise TurnInProgress
    boots.recover(orphan)


def _stored(conversation: Conversation, client_id: str) -> Turn | None:
    message = conversation.messages.filter(client_id=client_id).first()
    if message is None:
        return None
    if message.role == Message.Role.USER:
        question, reply = message, message.children.order_by("pk")[0]
    else:
        assert message.parent is not None, "a reply has its question above it"
        question, reply = message.parent, message
    attach_siblings([question, reply])
    return Turn(conversation, question, reply, is_regenerated=reply is message, is_repeat=True)
