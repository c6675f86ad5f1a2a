"""Anthropic's own client at a gateway whose provider is Anthropic; and OpenAI's, whose words are translated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio

from tests.gateway.fake import THEIR_KEY, THEIR_MODEL, USED, before_anthropic, fields_of, tool_called

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anthropic.types import MessageParam, ToolParam
    from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam

    from tests.gateway.fake import Behind

HELLO: Final[list[MessageParam]] = [{"role": "user", "content": "Hello there, who are you?"}]
ASKED: Final[list[ChatCompletionMessageParam]] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hello there, who are you?"},
]
ANSWER: Final = "You asked: Hello there, who are you?"
SCHEMA: Final[dict[str, object]] = {"type": "object", "properties": {"said": {"type": "string"}}}
WEATHER: Final[ToolParam] = {"name": "weather", "input_schema": SCHEMA}


@pytest_asyncio.fixture
async def behind(tmp_path: Path) -> AsyncGenerator[Behind]:
    async with before_anthropic(tmp_path) as it:
        yield it


@pytest.mark.parametrize("by_token", [False, True], ids=["x-api-key", "bearer"])
async def test_a_message_is_answered_with_what_it_cost(behind: Behind, by_token: bool) -> None:
    client = behind.gate.anthropic_client(by_token=by_token)
    answer = await client.messages.create(model="small", max_tokens=100, messages=HELLO)
    (block,) = answer.content
    assert block.type == "text"
    assert (block.text, answer.stop_reason) == (ANSWER, "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (USED.input - USED.cached, USED.output)
    assert answer.usage.cache_read_input_tokens == USED.cached
    assert answer.model_extra is not None
    assert answer.model_extra["_metadata"]["cost_incurred"] == USED.input + USED.output
    (asked,) = behind.provider.requests
    assert (asked.path, asked.headers["x-api-key"]) == ("/v1/messages", THEIR_KEY)
    assert "alice" not in str(asked)


async def test_what_is_asked_arrives_byte_by_byte_but_for_the_models_name(behind: Behind) -> None:
    sent = await behind.gate.anthropic_client().messages.with_raw_response.create(
        model="small",
        max_tokens=100,
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        messages=HELLO,
        extra_body={"x_vendor": {"b": [1.50, 10**25, "ü 😀 \u2028"], "a": None}, "x_small": 1e-07},
        extra_headers={"anthropic-beta": "some-beta-2026-01-01"},
    )
    (asked,) = behind.provider.requests
    before, after = fields_of(sent.http_request.content), fields_of(asked.body)
    assert list(before.items()) == list(after.items())
    assert before.keys() >= {"x_vendor", "x_small", "system"}
    assert asked.fields["model"] == THEIR_MODEL
    assert asked.headers["anthropic-beta"] == "some-beta-2026-01-01"
    assert asked.headers["anthropic-version"] == sent.http_request.headers["anthropic-version"]


async def test_a_message_is_streamed_event_by_event(behind: Behind) -> None:
    client = behind.gate.anthropic_client()
    async with client.messages.stream(model="small", max_tokens=100, messages=HELLO) as stream:
        text = "".join([some async for some in stream.text_stream])
        final = await stream.get_final_message()
    assert text == ANSWER
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", USED.output)
    assert final.usage.input_tokens == USED.input - USED.cached
    events = await client.messages.create(model="small", max_tokens=100, messages=HELLO, stream=True)
    types = [event.type async for event in events]
    assert (types[0], types[-1]) == ("message_start", "message_stop")
    assert types.count("content_block_delta") == len(ANSWER.split())


async def test_a_tool_is_called_and_answered(behind: Behind) -> None:
    client = behind.gate.anthropic_client()
    first = await client.messages.create(model="small", max_tokens=100, messages=HELLO, tools=[WEATHER])
    (call,) = first.content
    assert call.type == "tool_use"
    assert (first.stop_reason, call.name, call.input) == ("tool_use", "weather", {"said": HELLO[0]["content"]})
    async with client.messages.stream(model="small", max_tokens=100, messages=HELLO, tools=[WEATHER]) as stream:
        (streamed,) = (await stream.get_final_message()).content
    assert streamed.type == "tool_use"
    assert streamed.input == call.input
    result: MessageParam = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "Sunny."}],
    }
    turn: Any = {"role": "assistant", "content": [call.to_dict()]}
    again = await client.messages.create(
        model="small", max_tokens=100, messages=[*HELLO, turn, result], tools=[WEATHER]
    )
    assert again.stop_reason == "end_turn"


async def test_a_chat_is_translated_both_ways(behind: Behind) -> None:
    answer = await behind.gate.client().chat.completions.create(model="small", messages=ASKED, stop=["END"])
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (ANSWER, "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (USED.input, USED.output)
    (asked,) = behind.provider.requests
    assert asked.path == "/v1/messages"
    assert asked.fields["stop_sequences"] == ["END"]
    assert "Be kind." in str(asked.fields["system"])


async def test_a_chat_is_streamed_and_translated(behind: Behind) -> None:
    stream = await behind.gate.client().chat.completions.create(
        model="small", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (USED.input, USED.output)


async def test_a_tool_is_called_through_the_translation(behind: Behind) -> None:
    tool: ChatCompletionFunctionToolParam = {
        "type": "function",
        "function": {"name": "weather", "parameters": SCHEMA, "strict": True},
    }
    client = behind.gate.client()
    answer = await client.chat.completions.create(model="small", messages=ASKED, tools=[tool])
    call = tool_called(answer.choices[0].message)
    assert (answer.choices[0].finish_reason, call.function.name) == ("tool_calls", "weather")
    async with client.chat.completions.stream(model="small", messages=ASKED, tools=[tool]) as stream:
        final = await stream.get_final_completion()
    streamed = tool_called(final.choices[0].message)
    assert streamed.function.arguments.replace(" ", "") == call.function.arguments.replace(" ", "")
    said: Any = answer.choices[0].message.model_dump(exclude_none=True)
    result: ChatCompletionMessageParam = {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}
    again = await client.chat.completions.create(model="small", messages=[*ASKED, said, result], tools=[tool])
    assert again.choices[0].finish_reason == "stop"
