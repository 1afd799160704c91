"""A parser for event streams that works on bytes and trusts nobody.

It takes the bytes as they were read, wherever they were cut, and gives the `data` of each event that has ended. A line
ends with CR, LF or CRLF and with nothing else: text may hold U+2028 or U+0085. Lines are whole before they are decoded,
so a character cut in two arrives whole; bytes that are not UTF-8 become U+FFFD. Lines, and events of many lines, are
bounded.
"""

from __future__ import annotations

from apps.llm.errors import LLMLineTooLong

MAX_LINE_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventStreamParser:
    """Feed it chunks, then `close` it."""

    def __init__(self) -> None:
        self._partial = bytearray()  # a line whose end has not arrived
        self._data: list[bytes] = []  # the data lines of an event whose end has not arrived
        self._data_bytes = 0
        self._after_cr = False  # the last chunk ended in CR, whose LF may open the next one
        self._at_start = True

    def feed(self, chunk: bytes) -> list[str]:
        """The data of every event that ends within `chunk`. Raises LLMLineTooLong."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        lines = chunk.splitlines()
        if chunk.endswith((b"\n", b"\r")):
            self._after_cr = chunk.endswith(b"\r")
            rest = b""
        else:
            rest = lines.pop()
        if lines and self._partial:
            lines[0] = bytes(self._partial) + lines[0]
            self._partial.clear()
        self._partial += rest
        if len(self._partial) > MAX_LINE_BYTES:
            raise LLMLineTooLong(MAX_LINE_BYTES)
        return self._events(lines)

    def close(self) -> list[str]:
        """The data of a last event that no blank line ends."""
        last = bytes(self._partial)
        self._partial.clear()
        return self._events([last, b""])

    def _events(self, lines: list[bytes]) -> list[str]:
        if self._at_start and lines:
            self._at_start = False
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        events = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(b"\n".join(self._data).decode(errors="replace"))
                    self._data.clear()
                    self._data_bytes = 0
            elif line.startswith(b"data:"):
                self._add(line)
            elif len(line) > MAX_LINE_BYTES:
                raise LLMLineTooLong(MAX_LINE_BYTES)
        return events

    def _add(self, line: bytes) -> None:
        self._data_bytes += len(line)
        if self._data_bytes > MAX_LINE_BYTES:
            raise LLMLineTooLong(MAX_LINE_BYTES)
        self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
