"""The event-stream parser takes bytes wherever they are cut, and only CR, LF and CRLF end a line."""

from __future__ import annotations

import pytest

from apps.llm.errors import LLMLineTooLong
from apps.llm.eventstream import MAX_LINE_BYTES, EventStreamParser


def parse(*chunks: bytes) -> list[str]:
    parser = EventStreamParser()
    return [data for chunk in chunks for data in parser.feed(chunk)] + parser.close()


def test_each_event_yields_its_data() -> None:
    assert parse(b"data: one\n\ndata: two\n\n") == ["one", "two"]


def test_an_event_is_given_as_soon_as_it_ends() -> None:
    parser = EventStreamParser()
    assert parser.feed(b"data: one\n") == []
    assert parser.feed(b"\ndata: tw") == ["one"]
    assert parser.feed(b"o\r\n\r") == ["two"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_lines_end_in_any_of_the_three_ways_wherever_the_bytes_are_cut(end: bytes) -> None:
    lines = [": hello", "data: é 漢 👩‍👧", "", "event: x", "data:two", "data: lines", "", "", "data: last", "", ""]
    stream = end.join(line.encode() for line in lines)
    expected = ["é 漢 👩‍👧", "two\nlines", "last"]
    assert parse(stream) == expected
    assert parse(*(bytes([byte]) for byte in stream)) == expected
    for cut in range(len(stream)):
        assert parse(stream[:cut], b"", stream[cut:]) == expected, f"cut at {cut}"


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_no_other_character_ends_a_line(mark: str) -> None:
    assert parse(f"data: a{mark}b\n\n".encode()) == [f"a{mark}b"]


def test_the_space_after_the_colon_may_be_missing_and_only_one_is_taken() -> None:
    assert parse(b"data:a\n\ndata: b\n\ndata:  c\n\n") == ["a", "b", " c"]


def test_comments_and_other_fields_are_left_out() -> None:
    assert parse(b": ping\n\nid: 7\nretry: 1\nevent: e\ndata: a\n\ndatabase: b\n\nnonsense\n\n") == ["a"]


def test_the_lines_of_one_event_are_joined() -> None:
    assert parse(b"data: a\ndata:\ndata: b\n\n") == ["a\n\nb"]


def test_a_last_event_needs_no_blank_line_nor_an_end_of_line() -> None:
    assert parse(b"data: a\n\ndata: b\n") == ["a", "b"]
    assert parse(b"data: a\n\ndata: b") == ["a", "b"]


def test_a_byte_order_mark_is_taken_off_once_even_when_it_arrives_in_pieces() -> None:
    assert parse(b"\xef\xbb\xbfdata: a\n\n") == ["a"]
    assert parse(b"\xef", b"\xbb", b"\xbfda", b"ta: a\n\n") == ["a"]
    assert parse(b"data: a\n\n\xef\xbb\xbfdata: b\n\n") == ["a"]


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert parse(b"data: a\xff\xfeb\xe6\xbc\n\n") == ["a\ufffd\ufffdb\ufffd"]


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    line = b"data: " + b"x" * (MAX_LINE_BYTES - 6)
    assert parse(line + b"\n\n") == ["x" * (MAX_LINE_BYTES - 6)]
    for stream in (line + b"x\n\n", b":" + b"x" * MAX_LINE_BYTES + b"\n", line + b"x", line + b"\ndata: x\n\n"):
        with pytest.raises(LLMLineTooLong):
            parse(stream[:700_000], stream[700_000:])


def test_a_long_line_in_many_pieces_costs_no_more_than_its_length() -> None:
    parser = EventStreamParser()
    parser.feed(b"data: ")
    for _ in range(MAX_LINE_BYTES // 2):
        parser.feed(b"x")
    assert len(parser.feed(b"\n\n")[0]) == MAX_LINE_BYTES // 2
