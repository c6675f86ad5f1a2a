"""The parser of server-sent events, against the words of the HTML standard."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops.client.sse import ServerSentEvent, SseParser

STREAM = (
    ": connected\n\n"
    "id: 1\ndata: one\n\n"
    "event: gap\r\ndata: {\r\ndata: }\r\n\r\n"
    "id: 2\rdata: ünïcödé ✓\r\r"
    "retry: 1500\nid\ndata\n\n"
    "data: never ended\n"
).encode()
EVENTS = [
    ServerSentEvent("one", "message", "1"),
    ServerSentEvent("{\n}", "gap", "1"),
    ServerSentEvent("ünïcödé ✓", "message", "2"),
    ServerSentEvent("", "message", ""),
]


def parsed(*chunks: bytes) -> list[ServerSentEvent]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def test_a_whole_stream() -> None:
    assert parsed(STREAM) == EVENTS


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_borders_of_chunks_mean_nothing(size: int) -> None:
    assert parsed(*(STREAM[at : at + size] for at in range(0, len(STREAM), size))) == EVENTS


@given(st.text(alphabet="a:\r\n dit0\ufeff", max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_any_stream_is_the_same_in_any_pieces(text: str, cuts: list[int]) -> None:
    stream = text.replace("d", "data:").replace("i", "id:").encode()
    places = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    pieces = [stream[begin:end] for begin, end in pairwise(places)]
    assert parsed(*pieces) == parsed(stream)
    assert parsed(*(stream[at : at + 1] for at in range(len(stream)))) == parsed(stream)


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data:x\n\n", ["x"]),
        (b"data:  x\n\n", [" x"]),
        (b"data: a:b\n\n", ["a:b"]),
        (b"\xef\xbb\xbfdata: x\n\n", ["x"]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n", []),
        (b"data: \xef\xbb\xbfx\n\n", ["\ufeffx"]),
        (b"event: lonely\n\ndata: x\n\n", ["x"]),
        (b"Data: x\n\n", []),
        (b"data: x\n", []),
        (b"data: x", []),
        (b":data: x\n\n", []),
        (b"data: \xff\n\n", ["\ufffd"]),
    ],
    ids=repr,
)
def test_single_lines(stream: bytes, data: list[str]) -> None:
    assert [event.data for event in parsed(stream)] == data
    assert {event.event for event in parsed(stream)} <= {"message"}


def test_an_event_that_broke_off_does_not_move_the_cursor() -> None:
    parser = SseParser()
    parser.feed(b"id: 7\ndata: x\n\nid: 8\ndata: y\n")
    assert parser.last_event_id == "7"
    parser.feed(b"\n")
    assert parser.last_event_id == "8"


def test_an_id_with_nul_is_passed_over_and_retry_is_a_number() -> None:
    parser = SseParser()
    parser.feed(b"id: 7\nid: 8\x00\nretry: 1500\nretry: soon\ndata: x\n\n")
    assert (parser.last_event_id, parser.retry) == ("7", 1500)
