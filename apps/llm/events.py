"""What the stream of one answer yields: any number of TextDelta, at most one UsageReported, then Finished, always last.

An answer that ends in any other way ends in an `LLMError`. What a reasoning model thinks before it answers
(`delta.reasoning_content`) is not content and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of text, never empty, without NUL and lone surrogates: every database takes it."""

    text: str


@dataclass(frozen=True, slots=True)
class UsageReported:
    """What the answer cost, as the server counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole. `reason` is the server's finish_reason, such as stop or length."""

    reason: str


StreamEvent = TextDelta | UsageReported | Finished


@dataclass(frozen=True, slots=True)
class Completion:
    """One whole answer."""

    text: str
    usage: UsageReported | None
    reason: str
