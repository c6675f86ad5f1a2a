"""OpenAI's own client, unchanged, at a gateway whose provider speaks OpenAI's API."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import pytest_asyncio
from pydantic import BaseModel

from tests.gateway.fake import THEIR_KEY, THEIR_MODEL, USED, before_openai, fields_of, tool_called

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from openai.types.chat import (
        ChatCompletionFunctionToolParam,
        ChatCompletionMessageParam,
        ChatCompletionUserMessageParam,
    )

    from tests.gateway.fake import Behind

HELLO: Final[list[ChatCompletionMessageParam]] = [{"role": "user", "content": "Hello there, who are you?"}]
ANSWER: Final = "You asked: Hello there, who are you?"
WEATHER: Final[ChatCompletionFunctionToolParam] = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"]},
        "strict": True,
    },
}
UNKNOWN: Final = {
    "x_vendor": {"b": [1, {"z": None, "a": True}], "a": 'ü 😀 \u2028 \\ " </script>'},
    "x_big": 123456789012345678901234567890,
    "x_small": 1e-07,
    "x_null": None,
    "provider": {"order": ["a", "b"], "allow_fallbacks": False},
}


class Answer(BaseModel):
    """What a caller wants the text to be."""

    answer: str


@pytest_asyncio.fixture
async def behind(tmp_path: Path) -> AsyncGenerator[Behind]:
    async with before_openai(tmp_path) as it:
        yield it


async def test_a_chat_is_answered_with_what_it_cost(behind: Behind) -> None:
    answer = await behind.gate.client().chat.completions.create(model="small", messages=HELLO, temperature=0.2)
    assert answer.object == "chat.completion"
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (ANSWER, "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (USED.input, USED.output)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == USED.cached
    assert answer.model_extra is not None
    metadata = answer.model_extra["_metadata"]
    assert (metadata["provider_used"], metadata["cost_incurred"]) == ("fake", USED.input + USED.output)
    (asked,) = behind.provider.requests
    assert asked.headers["authorization"] == f"Bearer {THEIR_KEY}"
    assert "alice" not in str(asked)


async def test_what_is_asked_arrives_byte_by_byte_but_for_the_models_name(behind: Behind) -> None:
    sent = await behind.gate.client().chat.completions.with_raw_response.create(
        model="small", messages=HELLO, seed=7, logit_bias={"50256": -100}, extra_body=UNKNOWN
    )
    (asked,) = behind.provider.requests
    before, after = fields_of(sent.http_request.content), fields_of(asked.body)
    assert list(before.items()) == list(after.items())
    assert before.keys() >= UNKNOWN.keys() | {"seed", "logit_bias"}
    assert asked.fields["model"] == THEIR_MODEL


async def test_a_chat_is_streamed_without_a_chunk_that_nobody_asked_for(behind: Behind) -> None:
    stream = await behind.gate.client().chat.completions.create(model="small", messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert len(chunks) > len(ANSWER.split())
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    assert behind.provider.requests[0].fields["stream_options"] == {"include_usage": True}
    (used,) = (await behind.gate.get("/llm/usage"))["rows"]
    assert (used["calls"], used["cost"]) == (1, USED.input + USED.output)


async def test_a_streamed_chat_ends_with_its_usage_if_it_was_asked_for(behind: Behind) -> None:
    stream = await behind.gate.client().chat.completions.create(
        model="small", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (USED.input, USED.output)


async def test_tools_are_called_and_answered(behind: Behind) -> None:
    client = behind.gate.client()
    first = await client.chat.completions.create(model="small", messages=HELLO, tools=[WEATHER], tool_choice="auto")
    call = tool_called(first.choices[0].message)
    assert first.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, call.function.arguments) == ("weather", '{"said":"Hello there, who are you?"}')
    said: Any = first.choices[0].message.model_dump(exclude_none=True)
    again = await client.chat.completions.create(
        model="small",
        messages=[*HELLO, said, {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}],
        tools=[WEATHER],
    )
    assert again.choices[0].message.content == ANSWER
    assert behind.provider.requests[1].fields["messages"] == [
        *HELLO,
        said,
        {"role": "tool", "tool_call_id": call.id, "content": "Sunny."},
    ]


async def test_a_streamed_call_of_a_tool_is_put_together_by_the_client(behind: Behind) -> None:
    async with behind.gate.client().chat.completions.stream(
        model="small", messages=HELLO, tools=[WEATHER], parallel_tool_calls=False
    ) as stream:
        parts = [event.arguments_delta async for event in stream if event.type == "tool_calls.function.arguments.delta"]
        final = await stream.get_final_completion()
    assert "".join(parts) == '{"said":"Hello there, who are you?"}'
    assert len(parts) > 1
    call = tool_called(final.choices[0].message)
    assert call.function.arguments == "".join(parts)


async def test_images_are_sent_on_as_they_are(behind: Behind) -> None:
    picture = base64.b64encode(bytes(range(256)) * 300).decode()
    message: ChatCompletionUserMessageParam = {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}", "detail": "low"}},
        ],
    }
    answer = await behind.gate.client().chat.completions.create(model="small", messages=[message])
    assert answer.choices[0].message.content == "You asked: What is this?"
    assert behind.provider.requests[0].fields["messages"] == [message]


async def test_an_answer_has_the_schema_that_was_asked_for(behind: Behind) -> None:
    answer = await behind.gate.client().chat.completions.parse(model="small", messages=HELLO, response_format=Answer)
    assert answer.choices[0].message.parsed == Answer(answer=ANSWER)
    wanted: Any = behind.provider.requests[0].fields["response_format"]
    assert (wanted["type"], wanted["json_schema"]["strict"]) == ("json_schema", True)


async def test_several_answers_and_how_likely_they_were(behind: Behind) -> None:
    client = behind.gate.client()
    answer = await client.chat.completions.create(model="small", messages=HELLO, n=3, logprobs=True, top_logprobs=0)
    assert [choice.message.content for choice in answer.choices] == [ANSWER, f"{ANSWER} (1)", f"{ANSWER} (2)"]
    for choice in answer.choices:
        assert choice.logprobs is not None
        assert "".join(each.token for each in choice.logprobs.content or ()) == choice.message.content
    stream = await client.chat.completions.create(model="small", messages=HELLO, n=2, logprobs=True, stream=True)
    texts = {0: "", 1: ""}
    async for chunk in stream:
        for some in chunk.choices:
            texts[some.index] += some.delta.content or ""
            assert some.logprobs is not None or not some.delta.content
    assert texts == {0: ANSWER, 1: f"{ANSWER} (1)"}


async def test_texts_are_embedded(behind: Behind) -> None:
    client = behind.gate.client()
    answer = await client.embeddings.create(model="small", input=["one", "two", "one"], dimensions=16)
    one, two, again = (each.embedding for each in answer.data)
    assert (len(one), one) == (16, again)
    assert one != two
    as_text = await client.embeddings.create(model="small", input=[1, 2, 3], encoding_format="base64")
    assert isinstance(as_text.data[0].embedding, str)
    assert [request.path for request in behind.provider.requests] == ["/v1/embeddings"] * 2


async def test_models_are_listed_and_found(behind: Behind) -> None:
    client = behind.gate.client("nobody who is known")
    assert [(model.id, model.owned_by) async for model in client.models.list()] == [("small", "fake")]
    assert (await client.models.retrieve("small")).id == "small"


async def test_a_response_is_answered(behind: Behind) -> None:
    answer = await behind.gate.client().responses.create(
        model="small", input="Hello", instructions="Be kind.", metadata={"a": "b"}
    )
    assert (answer.status, answer.output_text) == ("completed", "You asked: Hello")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (USED.input, USED.output)
    assert behind.provider.requests[0].fields["instructions"] == "Be kind."


async def test_a_response_is_streamed_by_named_events(behind: Behind) -> None:
    async with behind.gate.client().responses.stream(model="small", input="Hello") as stream:
        types = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert (types[0], types[-1]) == ("response.created", "response.completed")
    assert types.count("response.output_text.delta") == 3
    assert final.output_text == "You asked: Hello"


async def test_a_call_is_told_to_the_run_that_it_names(behind: Behind) -> None:
    await behind.gate.client().chat.completions.create(
        model="small", messages=HELLO, extra_headers={"X-Agentops-Run": "nightly"}
    )
    types = [event["type"] for event in await behind.gate.events("nightly")]
    assert types == ["llm.request", "llm.response"]
    assert "x-agentops-run" not in behind.provider.requests[0].headers
