"""What the events of one answer say, read one after the other.

Lenient in reading: what is not JSON, not an object or not understood is skipped. Strict at the end: an answer is whole
only if the server said so, by a finish_reason or by [DONE].
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from apps.llm.errors import LLMCut, LLMServerError, LLMSilent, LLMTooLong
from apps.llm.events import Finished, StreamEvent, TextDelta, UsageReported

MAX_CHARACTERS = 4_000_000
MAX_COUNT = 1_000_000_000
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Answer:
    """The state of one answer while it is read."""

    def __init__(self) -> None:
        self.is_signed_off = False
        self._reason = ""
        self._usage: UsageReported | None = None
        self._is_understood = False
        self._characters = 0
        self._half = ""  # the first half of a character that the server cut in two

    @property
    def is_whole(self) -> bool:
        """The server said that it has finished; usage and [DONE] may still follow."""
        return bool(self._reason) or self.is_signed_off

    @property
    def has_text(self) -> bool:
        return self._characters > 0

    def read(self, data: str) -> str:
        """The text that the data of one event carries, often none. Raises LLMServerError and LLMTooLong."""
        try:
            chunk: object = json.loads(data)
        except (ValueError, RecursionError):
            return self._read_lines(data)
        return self._read_chunk(chunk) if isinstance(chunk, dict) else ""

    def conclude(self) -> Iterator[StreamEvent]:
        """What is left to say once the stream has ended. Raises LLMSilent or LLMCut when it is no whole answer."""
        if not self._is_understood:
            raise LLMSilent
        if not self.is_whole:
            raise LLMCut
        if self._half:
            yield TextDelta("\ufffd")
        if self._usage:
            yield self._usage
        yield Finished(self._reason or "stop")

    def _read_lines(self, data: str) -> str:
        """Some servers leave out the blank lines between events, which then look like one of many lines."""
        if data.strip() == "[DONE]":
            self.is_signed_off = True
        return "".join(self.read(line) for line in data.split("\n")) if "\n" in data else ""

    def _read_chunk(self, chunk: dict[str, object]) -> str:
        if error := chunk.get("error"):
            raise LLMServerError(said(error))
        self._usage = _usage(chunk.get("usage")) or self._usage
        match chunk.get("choices"):
            case [dict() as choice, *_]:
                return self._read_choice(choice)
        return ""

    def _read_choice(self, choice: dict[str, object]) -> str:
        self._is_understood = True
        delta = choice.get("delta")
        message = choice.get("message")
        if reason := choice.get("finish_reason") or (message and "stop"):
            self._reason = storable(str(reason))[:40]
        match delta or message:
            case {"content": str(content)} if content:
                return self._take(content)
        return ""

    def _take(self, content: str) -> str:
        self._characters += len(content)
        if self._characters > MAX_CHARACTERS:
            raise LLMTooLong(MAX_CHARACTERS)
        if self._half or _UNSTORABLE.search(content):
            content = self._half + content
            self._half = content[-1] if "\ud800" <= content[-1] <= "\udbff" else ""
            return storable(content[: len(content) - len(self._half)])
        return content


def storable(text: str) -> str:
    """`text` as every database takes it: halves of a character joined, lone ones and NUL replaced by U+FFFD."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\x00", "\ufffd")


def said(error: object) -> str:
    """The words in a server's error, in any of the shapes that servers use."""
    match error:
        case str():
            return storable(error)
        case {"error": inner} | {"message": inner} | {"detail": inner}:
            return said(inner)
        case [first, *_] | {"msg": first}:
            return said(first)
    return ""


def _usage(counts: object) -> UsageReported | None:
    match counts:
        case {"prompt_tokens": int(prompt), "completion_tokens": int(completion), **others}:
            total = others.get("total_tokens")
            numbers = prompt, completion, total if isinstance(total, int) else prompt + completion
            if all(0 <= number <= MAX_COUNT for number in numbers):
                return UsageReported(*map(int, numbers))
    return None
