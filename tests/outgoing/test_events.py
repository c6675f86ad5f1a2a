"""The events of a stream, whatever pieces they come in."""

from __future__ import annotations

import pytest

from agentops.core.ports.model import ModelLost
from agentops.outgoing import Event, Events

STREAM = b"\xef\xbb\xbf: hello\r\n\r\nevent: a\ndata: 1\ndata:2\n\ndata: 3\r\rid: 5\ndata:\n\ndata: half\n"
EVENTS = [Event("1\n2", "a"), Event("3", ""), Event("", "")]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_it_does_not_matter_where_they_are_cut(size: int) -> None:
    events = Events()
    said = [event for at in range(0, len(STREAM), size) for event in events.feed(STREAM[at : at + size])]
    assert said == EVENTS


def test_one_event_is_bounded_and_many_are_not() -> None:
    events = Events(most=1000)
    for _ in range(100):
        events.feed(b"data: " + b"a" * 500 + b"\n\n")
    events.feed(b"data: " + b"a" * 600)
    with pytest.raises(ModelLost, match="more than 1000 bytes"):
        events.feed(b"a" * 600)


def test_comments_without_end_are_no_events() -> None:
    events = Events(most=1000)
    with pytest.raises(ModelLost):
        list(map(events.feed, [b": still here\n"] * 1000))
