"""What Anthropic answers, as chat completions have it: golden pairs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agentops.core.ports.model import Api, ModelFault, ModelLost, Piece, Usage
from agentops.outgoing import Event, json_object
from agentops.plugins.models.anthropic._answer import Message, as_chat_completion, message
from agentops.plugins.models.anthropic._chunks import Chunks
from agentops.plugins.models.anthropic._native import Relayed, as_answered, as_asked
from tests.models.orders import order

COUNTED = {
    "input_tokens": 10,
    "cache_read_input_tokens": 60,
    "cache_creation_input_tokens": 30,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 3},
    "service_tier": "standard",
}
IN_CHAT = {
    "prompt_tokens": 100,
    "completion_tokens": 7,
    "total_tokens": 107,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
USED = Usage(100, 7, 60, 30)
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "S"}
HIDDEN = {"type": "redacted_thinking", "data": "x"}
CONTENT: list[dict[str, Any]] = [
    THOUGHT,
    HIDDEN,
    {"type": "text", "text": "I "},
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    {"type": "text", "text": "look."},
    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Łódź"}},
]


def body(content: list[dict[str, Any]], **more: Any) -> bytes:
    found = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "content": content}
    return msgspec.json.encode({**found, "stop_reason": "end_turn", "usage": COUNTED, **more})


def message_of(answer: bytes, api: Api = "chat") -> Message:
    return message(*json_object(answer), api, ["sk-ant-1234567890"])


def event(data: Any) -> Event:
    return Event(data if isinstance(data, str) else msgspec.json.encode(data).decode(), "")


def completed(content: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    whole = as_chat_completion(message_of(body(content, **more)), "claude", 1700000000)
    found: dict[str, Any] = msgspec.json.decode(whole.body)
    return found


def test_an_answer_with_everything() -> None:
    assert completed(CONTENT, stop_reason="tool_use") == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "claude-1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "I look.",
                    "refusal": None,
                    "reasoning_content": "Hm.",
                    "thinking_blocks": [THOUGHT, HIDDEN],
                    "tool_calls": [
                        {
                            "id": "toolu_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Łódź"}'},
                        }
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": IN_CHAT,
    }


def test_what_was_used_is_counted_with_the_cache() -> None:
    assert as_chat_completion(message_of(body([])), "m", 0).usage == USED
    assert as_chat_completion(message_of(body([], usage=None)), "m", 0).usage is None


def test_what_only_calls_tools_says_nothing() -> None:
    (choice,) = completed(CONTENT[-1:], stop_reason="tool_use")["choices"]
    assert choice["message"]["content"] is None
    assert completed([])["choices"][0]["message"]["content"] == ""


@pytest.mark.parametrize(
    ("stopped", "finished"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_why_it_ended(stopped: str | None, finished: str) -> None:
    assert completed([], stop_reason=stopped)["choices"][0]["finish_reason"] == finished


def test_a_refusal_says_why() -> None:
    found = completed([], stop_reason="refusal", stop_details={"type": "refusal", "explanation": "I may not."})
    assert found["choices"][0]["message"]["refusal"] == "I may not."


@pytest.mark.parametrize("api", ["chat", "messages"])
@pytest.mark.parametrize(
    "wrong",
    [b"", b"[]", b"{}", b"<html>", b'{"content": "x"}', body([])[:-1], b'{"content":[],"id":"\xff"}'],
)
def test_what_is_no_message_is_no_success(api: Any, wrong: bytes) -> None:
    with pytest.raises(ModelLost):
        message_of(wrong, api)


def test_a_block_that_is_none_is_no_success() -> None:
    with pytest.raises(ModelLost):
        completed([{"type": "text", "text": 5}])


def test_an_error_that_shows_a_key_does_not_show_it() -> None:
    said = b'{"type":"error","error":{"type":"api_error","message":"sk-ant-1234567890 is wrong"}}'
    with pytest.raises(ModelFault, match=r"^\*+ is wrong") as fault:
        message_of(said)
    assert b"1234567890" not in fault.value.body


@pytest.mark.parametrize(
    ("api", "wanted"),
    [
        (
            "chat",
            {"error": {"message": "Busy", "type": "server_error", "param": None, "code": "overloaded_error"}},
        ),
        ("messages", {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}),
    ],
)
def test_an_error_that_comes_as_an_answer_is_one(api: Any, wanted: dict[str, Any]) -> None:
    said = b'{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}'
    streams = Relayed(()) if api == "messages" else Chunks("m", 0, (), shows_usage=True)
    for fails in (lambda: message_of(said, api), lambda: list(streams.take(event(said.decode())))):
        with pytest.raises(ModelFault, match="Busy") as fault:
            fails()
        assert fault.value.status == 529
        assert fault.value.headers == {"x-should-retry": "true"}
        assert msgspec.json.decode(fault.value.body) == wanted


EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {"id": "msg_1", "model": "claude-1", "content": [], "usage": {**COUNTED, "output_tokens": 1}},
    },
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {**THOUGHT, "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "S"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "look."}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {**CONTENT[-1], "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city":'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '"Łódź"}'}},
    {"type": "content_block_stop", "index": 2},
    {
        "type": "content_block_start",
        "index": 3,
        "content_block": {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
    },
    {"type": "content_block_stop", "index": 3},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
    {"type": "message_stop"},
]


def chunked(events: list[dict[str, Any]], *, shows_usage: bool = True) -> list[Piece]:
    chunks = Chunks("claude", 1700000000, (), shows_usage=shows_usage)
    fed = [piece for one in events for piece in chunks.take(event(one))]
    assert chunks.is_whole(was_cut=True)
    return [*fed, *chunks.rest()]


def test_a_stream_with_everything() -> None:
    told = [msgspec.json.decode(piece.data) for piece in chunked(EVENTS)]
    head = {"id": "msg_1", "object": "chat.completion.chunk", "created": 1700000000, "model": "claude-1"}
    assert all({**chunk, **head} == chunk for chunk in told)
    assert told[-1]["choices"] == []
    assert told[-1]["usage"] == IN_CHAT
    choices = [chunk["choices"][0] for chunk in told[:-1]]
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["tool_calls"]
    called = {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm"},
        {"reasoning_content": "."},
        {"thinking_blocks": [THOUGHT]},
        {"content": "I "},
        {"content": "look."},
        {"tool_calls": [called]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Łódź"}'}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "t2", "type": "function", "function": {"name": "now", "arguments": ""}},
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]


def test_a_stream_says_what_was_written_and_used() -> None:
    found = chunked(EVENTS, shows_usage=False)
    assert "".join(piece.text for piece in found) == 'Hm.I look.{"city":"Łódź"}{}'
    assert found[0].usage == Usage(100, 1, 60, 30)
    assert found[-1] == Piece(usage=USED)


def test_a_refusal_in_a_stream_says_why() -> None:
    details = {"type": "refusal", "explanation": "I may not."}
    last = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}, "usage": COUNTED}
    (choice,) = msgspec.json.decode(chunked([EVENTS[0], last])[1].data)["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert choice["delta"] == {"refusal": "I may not."}


def test_a_stream_is_whole_when_only_its_last_word_is_missing() -> None:
    for streams in (Chunks("m", 0, (), shows_usage=True), Relayed(())):
        for one in EVENTS[:-2]:
            list(streams.take(event(one)))
        assert not streams.is_whole(was_cut=True)
        list(streams.take(event(EVENTS[-2])))
        assert streams.is_whole(was_cut=True)
        assert not streams.is_over
        list(streams.take(event(EVENTS[-1])))
        assert streams.is_over


def test_a_stream_that_says_not_what_it_used_is_whole_at_its_last_word_only() -> None:
    relayed = Relayed(())
    list(relayed.take(event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})))
    assert not relayed.is_whole(was_cut=True)
    list(relayed.take(event({"type": "message_stop"})))
    assert relayed.is_over
    assert relayed.usage is None


def test_the_own_api_is_handed_through() -> None:
    relayed = Relayed(())
    data = [msgspec.json.encode(event) for event in EVENTS]
    found = [piece for one in data for piece in relayed.take(event(one.decode()))]
    assert [piece.data for piece in found] == data
    assert [piece.event for piece in found] == [one["type"] for one in EVENTS]
    assert "".join(piece.text for piece in found) == 'Hm.I look.{"city":"Łódź"}'
    assert [piece.usage for piece in found if piece.usage] == [Usage(100, 1, 60, 30), USED]
    assert list(relayed.rest()) == []


def test_a_last_word_that_was_lost_is_said() -> None:
    relayed = Relayed(())
    for one in EVENTS[:-1]:
        list(relayed.take(event(one)))
    assert list(relayed.rest()) == [Piece(b'{"type":"message_stop"}', "message_stop")]


HOSTILE = {
    "no-json": "{",
    "no-object": "[]",
    "no-type": "{}",
    "two-events": '{"type":"ping"}{"type":"ping"}',
    "a-field-in-the-name": '{"type":"ping\\ndata: {}"}',
    "an-end-of-nothing": '{"type":"message_stop"}',
    "an-empty-name": '{"type":""}',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_event_ends_the_stream(data: str) -> None:
    for streams in (Chunks("m", 0, (), shows_usage=True), Relayed(())):
        with pytest.raises(ModelLost):
            list(streams.take(event(data)))


def test_what_is_ours_to_say_is_not_said_by_a_provider() -> None:
    (piece,) = Relayed(()).take(event('{"type":"ping",\n"_met\\u0061data":{"cost":0},"big": 1.10}'))
    assert piece.data == b'{"type":"ping","big":1.10}'


def test_the_own_api_is_asked_and_answered_untouched() -> None:
    asked = order("messages", {"max_tokens": 5, "new": {"b": 1, "a": 2}}, streamed=True, model="claude")
    assert as_asked(asked) == b'{"model":"claude","stream":true,"max_tokens":5,"new":{"b":1,"a":2}}'
    assert as_asked(asked._replace(streamed=False)) == b'{"model":"claude","max_tokens":5,"new":{"b":1,"a":2}}'
    whole = as_answered(message_of(body(CONTENT), "messages"), body(CONTENT))
    assert whole.body == body(CONTENT)
    assert whole.usage == USED
