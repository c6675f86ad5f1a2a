"""What is asked of chat completions, as Anthropic's messages have it: golden pairs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agentops.core.ports.model import ModelFault, Order
from agentops.plugins.models.anthropic._request import chat_as_messages
from tests.models.orders import order

USER = {"role": "user", "content": "Hi"}
MARK = {"type": "ephemeral"}
TEXT = {"type": "text", "text": "Hi"}
WEATHER: dict[str, Any] = {"name": "weather", "description": "Now.", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": WEATHER}
THERE = {"name": "weather", "input_schema": {"type": "object"}, "description": "Now."}


def sent(fields: dict[str, Any], *, cache: bool = False, streamed: bool = False) -> dict[str, Any]:
    asked = order("chat", fields, streamed=streamed, model="claude")
    found: dict[str, Any] = msgspec.json.decode(chat_as_messages(asked, 4096, cache=cache))
    return found


def of_messages(*messages: dict[str, Any]) -> dict[str, Any]:
    found = sent({"messages": messages})
    return {name: found[name] for name in ("system", "messages") if name in found}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def test_the_least_there_is() -> None:
    body = chat_as_messages(order("chat", {"messages": [USER]}, model="claude"), 4096, cache=False)
    assert body == (
        b'{"model":"claude","max_tokens":4096,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}'
    )


def test_a_stream_is_asked_for() -> None:
    assert sent({"messages": [USER], "stream_options": {"include_usage": True}}, streamed=True)["stream"] is True


CONVERSATIONS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "rules": (
        [{"role": "system", "content": "Be kind."}, USER, {"role": "developer", "content": "Be brief."}],
        {
            "system": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be brief."}],
            "messages": [user(TEXT)],
        },
    ),
    "rules-with-markers": (
        [{"role": "system", "content": [{"type": "text", "text": "Long.", "cache_control": MARK}]}, USER],
        {"system": [{"type": "text", "text": "Long.", "cache_control": MARK}], "messages": [user(TEXT)]},
    ),
    "a-marker-on-a-message": (
        [{**USER, "content": [TEXT, TEXT], "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        {"messages": [user(TEXT, {**TEXT, "cache_control": {"type": "ephemeral", "ttl": "1h"}})]},
    ),
    "one-speaker-twice": ([USER, USER], {"messages": [user(TEXT, TEXT)]}),
    "empty-is-left-out": (
        [{"role": "user", "content": ""}, USER, {"role": "assistant", "content": None}, USER],
        {"messages": [user(TEXT, TEXT)]},
    ),
    "images": (
        [
            user(
                {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}, "cache_control": MARK},
            )
        ],
        {
            "messages": [
                user(
                    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
                    {
                        "type": "image",
                        "source": {"type": "url", "url": "https://example.com/a.png"},
                        "cache_control": MARK,
                    },
                )
            ]
        },
    ),
    "a-document": (
        [user({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}})],
        {
            "messages": [
                user(
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                        "title": "a.pdf",
                    }
                )
            ]
        },
    ),
    "parts-of-their-own": (
        [user({"type": "search_result", "source": "s", "title": "t", "content": [TEXT]})],
        {"messages": [user({"type": "search_result", "source": "s", "title": "t", "content": [TEXT]})]},
    ),
    "tools-called-and-answered": (
        [
            USER,
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"n":1.10}'}},
                    {"id": "f:2", "type": "function", "function": {"name": "news", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "f:2", "content": [TEXT], "cache_control": MARK},
            USER,
        ],
        {
            "messages": [
                user(TEXT),
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"n": 1.1}},
                        {"type": "tool_use", "id": "f_2", "name": "news", "input": {}},
                    ],
                },
                user(
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
                    {"type": "tool_result", "tool_use_id": "f_2", "content": [TEXT], "cache_control": MARK},
                    TEXT,
                ),
            ]
        },
    ),
    "thoughts-handed-back": (
        [
            USER,
            {
                "role": "assistant",
                "content": [{"type": "refusal", "refusal": "No."}],
                "reasoning_content": "Hm.",
                "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "S"}],
            },
            {"role": "assistant", "content": None, "refusal": "Never."},
        ],
        {
            "messages": [
                user(TEXT),
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "S"},
                        {"type": "text", "text": "No."},
                        {"type": "text", "text": "Never."},
                    ],
                },
            ]
        },
    ),
}


@pytest.mark.parametrize(("messages", "wanted"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation(messages: list[dict[str, Any]], wanted: dict[str, Any]) -> None:
    assert of_messages(*messages) == wanted


def test_numbers_of_arguments_keep_their_digits() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "pay", "arguments": '{"n": 10000000000000000000.10}'}}
    asked = order("chat", {"messages": [USER, {"role": "assistant", "tool_calls": [call]}]})
    assert b'"input":{"n": 10000000000000000000.10}' in chat_as_messages(asked, 1, cache=False)


FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "max-tokens": ({"max_tokens": 5}, {"max_tokens": 5}),
    "the-newer-word-wins": ({"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": 6}),
    "null-is-nothing": ({"max_tokens": None, "stop": None, "n": None, "tools": None, "top_p": None}, {}),
    "stop": ({"stop": "END"}, {"stop_sequences": ["END"]}),
    "stops": ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
    "warm": ({"temperature": 0.7, "top_p": 0.9, "top_k": 5}, {"temperature": 0.7, "top_p": 0.9, "top_k": 5}),
    "hot": ({"temperature": 1.8}, {"temperature": 1}),
    "user": ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
    "safety": ({"user": "u1", "safety_identifier": "s1"}, {"metadata": {"user_id": "s1"}}),
    "metadata": ({"metadata": {"user_id": "m1", "job": "7"}}, {"metadata": {"user_id": "m1"}}),
    "metadata-of-openai": ({"metadata": {"job": "7"}}, {}),
    "hints": ({"seed": 1, "store": True, "prediction": {}, "prompt_cache_key": "k", "verbosity": "low"}, {}),
    "meaningless": ({"n": 1, "logprobs": False, "logit_bias": {}, "presence_penalty": 0.0, "modalities": ["text"]}, {}),
    "unknown": ({"container": {"id": 1.50}, "speed": "fast"}, {"container": {"id": 1.5}, "speed": "fast"}),
    "tier": ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    "tools": ({"tools": [TOOL]}, {"tools": [THERE]}),
    "a-strict-tool": (
        {"tools": [{"type": "function", "function": {"name": "now", "strict": True}, "cache_control": MARK}]},
        {
            "tools": [
                {
                    "name": "now",
                    "input_schema": {"type": "object", "properties": {}},
                    "strict": True,
                    "cache_control": MARK,
                }
            ]
        },
    ),
    "a-tool-of-theirs": (
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]},
    ),
    "choose": ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [THERE], "tool_choice": {"type": "auto"}}),
    "choose-none": (
        {"tools": [TOOL], "tool_choice": "none", "parallel_tool_calls": False},
        {"tools": [THERE], "tool_choice": {"type": "none"}},
    ),
    "choose-any": ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [THERE], "tool_choice": {"type": "any"}}),
    "choose-one": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"tools": [THERE], "tool_choice": {"type": "tool", "name": "weather"}},
    ),
    "choose-in-their-words": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "weather"}},
        {"tools": [THERE], "tool_choice": {"type": "tool", "name": "weather"}},
    ),
    "one-at-a-time": (
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tools": [THERE], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    "one-at-a-time-of-none": ({"parallel_tool_calls": False}, {}),
    "text": ({"response_format": {"type": "text"}}, {}),
    "a-schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
    ),
    "effort": (
        {"reasoning_effort": "minimal"},
        {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}},
    ),
    "no-effort": ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    "effort-in-their-words": (
        {"reasoning_effort": "low", "output_config": {"effort": "max"}, "thinking": {"type": "disabled"}},
        {"output_config": {"effort": "max"}, "thinking": {"type": "disabled"}},
    ),
    "effort-and-a-tool-that-must-be": (
        {"reasoning_effort": "high", "tools": [TOOL], "tool_choice": "required"},
        {"output_config": {"effort": "high"}, "tools": [THERE], "tool_choice": {"type": "any"}},
    ),
}


@pytest.mark.parametrize(("fields", "wanted"), FIELDS.values(), ids=FIELDS)
def test_a_field(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    least = sent({"messages": [USER]})
    assert sent({"messages": [USER], **fields}) == {**least, **wanted}


UNSAYABLE: dict[str, dict[str, Any]] = {
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 3},
    "audio": {"audio": {"voice": "x"}},
    "modalities": {"modalities": ["text", "audio"]},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "functions": {"functions": [WEATHER]},
    "service_tier": {"service_tier": "flex"},
    "response_format": {"response_format": {"type": "json_object"}},
    "reasoning_effort": {"reasoning_effort": "huge"},
    "temperature": {"temperature": "hot"},
    "max_tokens": {"max_tokens": "many"},
    "stop": {"stop": [5]},
    "tool_choice": {"tool_choice": "perhaps"},
    "tools": {"tools": {}},
    "tools[0]": {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
    "messages": {"messages": "hi"},
    "messages[0].role": {"messages": [{"role": "function", "content": "x"}]},
    "messages[0].tool_call_id": {"messages": [{"role": "tool", "content": "x"}]},
    "messages[0].tool_calls[0].function.arguments": {
        "messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "x", "arguments": "[1]"}}]}]
    },
    "messages[0].tool_calls[0]": {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "custom": {}}]}]},
    "messages[0].content[0]": {"messages": [user({"type": "input_audio", "input_audio": {}})]},
    "messages[0].content[0].image_url": {"messages": [user({"type": "image_url", "image_url": {"url": "file:///x"}})]},
    "messages[0].content[0].file": {"messages": [user({"type": "file", "file": {"file_id": "f"}})]},
}


@pytest.mark.parametrize(("param", "fields"), UNSAYABLE.items(), ids=UNSAYABLE)
def test_what_cannot_be_said_is_named(param: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ModelFault) as fault:
        sent({"messages": [USER], **fields})
    assert fault.value.status == 400
    error = msgspec.json.decode(fault.value.body)["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert error["message"] == fault.value.message


def test_without_messages_there_is_nothing_to_ask() -> None:
    with pytest.raises(ModelFault, match="messages"):
        chat_as_messages(Order("chat", "claude", {}), 1, cache=False)


def test_an_other_file_than_a_pdf_is_refused() -> None:
    with pytest.raises(ModelFault, match="PDF"):
        sent({"messages": [user({"type": "file", "file": {"file_data": "data:text/csv;base64,QQ=="}})]})


def test_markers_are_added_when_asked_for() -> None:
    messages = [{"role": "system", "content": "Long."}, USER, {"role": "assistant", "content": "Yes?"}]
    body = sent({"messages": messages, "tools": [TOOL, TOOL]}, cache=True)
    assert body["system"] == [{"type": "text", "text": "Long.", "cache_control": MARK}]
    assert body["tools"] == [THERE, {**THERE, "cache_control": MARK}]
    assert body["messages"][0] == user({**TEXT, "cache_control": MARK})
    assert body["messages"][1] == {"role": "assistant", "content": [{"type": "text", "text": "Yes?"}]}


def test_whoever_marks_by_hand_has_no_more_markers() -> None:
    messages = [{"role": "system", "content": [{**TEXT, "cache_control": MARK}]}, USER]
    assert sent({"messages": messages}, cache=True) == sent({"messages": messages})
