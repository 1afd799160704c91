"""What of a conversation is remembered, and what a question brings back to mind.

Remembered are questions, and replies that are complete or were stopped, on the branch that is read when they end,
unless their question was forgotten meanwhile; a message that another one took the place of is forgotten. A temporary
conversation, and one whose memory is switched off, neither remembers nor recalls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

from django.conf import settings

from apps.conversations.engine.events import SourceJSON
from apps.conversations.models import Conversation, Message
from apps.core.database import beside_database
from apps.memory.origins import Origin
from apps.memory.recall import NOTHING, Memory, Recalled, forget, recall, remember

log = logging.getLogger(__name__)

KIND = "message"
ASSISTANT = "Assistant"
# What `degraded` says when memory did not answer in time, or at all.
MEMORY = "memory"


def source_of(message_id: int) -> str:
    """What a message is called in memory."""
    return f"{KIND}:{message_id}"


def thread_of(conversation_id: int) -> str:
    """What a conversation is called in memory."""
    return f"conversation:{conversation_id}"


def remember_question(conversation: Conversation, question: Message) -> None:
    """Part of the transaction that stores it."""
    if conversation.is_remembered:
        _remember(conversation, question, conversation.owner.display_name)


def remember_reply(reply: Message) -> None:
    """Part of the transaction that ends it; nothing for one that failed, broke off, or is not being read any more."""
    if reply.status not in {Message.Status.COMPLETE, Message.Status.STOPPED}:
        return
    assert reply.parent_id is not None, "a reply has its question above it"
    conversation = Conversation.objects.filter(pk=reply.conversation_id, head=reply).first()
    if conversation is not None and conversation.is_remembered:
        _remember(conversation, reply, ASSISTANT, answers=source_of(reply.parent_id))


def _remember(conversation: Conversation, message: Message, speaker: str, *, answers: str = "") -> None:
    remember(
        conversation.owner_id,
        text=message.content,
        source=source_of(message.pk),
        thread=thread_of(conversation.pk),
        said_at=message.created_at,
        speaker=speaker,
        answers=answers,
    )


def forget_replaced(conversation: Conversation) -> None:
    """Forget what stands beside the branch that is read now."""
    on_branch = set(Message.objects.ids_to(conversation.head_id))
    beside = conversation.messages.exclude(pk__in=on_branch).values_list("pk", flat=True)
    forget(conversation.owner_id, sources=[source_of(pk) for pk in beside])


async def recall_for(conversation: Conversation, question: Message, *, in_sight: Sequence[Message]) -> Recalled:
    """What memory knows about the question beyond the messages that the prompt holds anyway. Never raises for what
    memory cannot do, and never takes longer than MEMORY_TIMEOUT: what is missing is said."""
    if not conversation.is_remembered:
        return NOTHING
    known = [source_of(message.pk) for message in in_sight]
    try:
        async with asyncio.timeout(settings.MEMORY_TIMEOUT):
            return await beside_database(recall, conversation.owner_id, question.content, without_sources=known)
    except TimeoutError:
        log.warning("question=%d memory took longer than %g s", question.pk, settings.MEMORY_TIMEOUT)
    except Exception:  # whatever memory stumbles over, the question is to be answered
        log.exception("question=%d memory failed", question.pk)
    return Recalled(missing=(MEMORY,))


def source_json(memory: Memory) -> SourceJSON:
    """The memory as a reply keeps it."""
    return {
        "message_id": int(memory.source.partition(":")[2]),
        "created_at": memory.said_at.isoformat(),
        "score": round(memory.score, 3),
    }


def origins_of(message_ids: Collection[int]) -> dict[int, Origin]:
    """Where these messages stand, for memory's own pages; those that are gone are left out."""
    rows = Message.objects.filter(pk__in=message_ids).values_list("pk", "conversation_id", "conversation__title")
    return {pk: {"conversation_id": within, "message_id": pk, "title": title} for pk, within, title in rows}
