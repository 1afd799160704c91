"""What the model is told: gather (I/O), then render (pure).

The whole wording of the prompt is here. Its prefix stays byte for byte the same from turn to turn, because model
servers cache it: the system message is constant and first, the history follows in order, and the question comes last.
What long-term memory finds will stand inside the last message, before the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from django.conf import settings

from apps.conversations.engine.begin import Turn
from apps.conversations.models import Message
from apps.core.database import in_database
from apps.llm import catalog

SYSTEM = "You are a helpful assistant. Answer in the language of the question. Use Markdown where it helps."
DEFAULT_CONTEXT_TOKENS = 8192
# What is left free for the answer.
ANSWER_SHARE = 0.25
# A cautious guess without the model's own tokenizer: English has about four bytes a token, code and others fewer.
BYTES_PER_TOKEN = 3
# More rows than any context holds in practice; older ones are not even read.
HISTORY_LIMIT = 400
HISTORY_TRIMMED = "history"


class PromptMessage(TypedDict):
    """A message in the form of the chat completions API."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Material:
    """All that a prompt is made of."""

    history: Sequence[Message]
    model: str
    context_tokens: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent, to which model, and what had to be left out."""

    messages: list[PromptMessage]
    model: str
    degraded: list[str] = field(default_factory=list)


async def gather(turn: Turn) -> Material:
    """Read what the prompt is made of: the branch down to the question, the model, its context length."""
    history = await _history(turn.question)
    model = turn.reply.model or settings.DEFAULT_MODEL or await catalog.active_model_id() or ""
    length = settings.LLM_CONTEXT_TOKENS or await catalog.context_length(model) or DEFAULT_CONTEXT_TOKENS
    return Material(history, model, length)


async def _history(question: Message) -> list[Message]:
    if question.parent_id is None:
        return [question]
    return await in_database(Message.objects.branch_to, question.pk, limit=HISTORY_LIMIT)


def render(material: Material) -> Prompt:
    """The prompt: as many whole turns as fit, the oldest left out first. The question itself always stays."""
    turns = _turns(material.history)
    budget = int(material.context_tokens * (1 - ANSWER_SHARE)) - tokens(SYSTEM)
    kept = _newest_that_fit(turns, budget)
    trimmed = len(kept) < len(turns) or len(material.history) == HISTORY_LIMIT
    messages = [PromptMessage(role="system", content=SYSTEM), *(message for turn in kept for message in turn)]
    return Prompt(messages, material.model, [HISTORY_TRIMMED] if trimmed else [])


def tokens(text: str) -> int:
    """About how many tokens the text takes."""
    return len(text.encode()) // BYTES_PER_TOKEN + 4


def _turns(history: Sequence[Message]) -> list[list[PromptMessage]]:
    """The history as question and answer; a question that got no answer joins the next one, since many chat templates
    want the roles to alternate."""
    turns: list[list[PromptMessage]] = []
    for message in history:
        if not message.content:
            continue
        if message.role == Message.Role.ASSISTANT:
            if turns:
                turns[-1].append(PromptMessage(role="assistant", content=message.content))
        elif turns and len(turns[-1]) == 1:
            turns[-1][0]["content"] += f"\n\n{message.content}"
        else:
            turns.append([PromptMessage(role="user", content=message.content)])
    return turns


def _newest_that_fit(turns: list[list[PromptMessage]], budget: int) -> list[list[PromptMessage]]:
    first = len(turns) - 1
    used = _cost(turns[first])
    while first > 0 and (used := used + _cost(turns[first - 1])) <= budget:
        first -= 1
    return turns[first:]


def _cost(turn: list[PromptMessage]) -> int:
    return sum(tokens(message["content"]) for message in turn)
