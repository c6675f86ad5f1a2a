"""The fixture answers what a file says, and else what it was told."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from array import array
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from agentops.core.ports.model import ModelFault, Usage
from agentops.core.problem import ConfigurationError
from agentops.core.rungs import Rungs
from agentops.plugins.models.fixture import Fixture
from tests.models.orders import chat, order, pieces

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agentops.core.ports.model import Api, Order

TALKS: dict[Api, str] = {"chat": "messages", "messages": "messages", "responses": "input"}
SAID = "Wie geht es dir?\n\nŻółw  \u2028 ok"


def talk(api: Api, *said: str, **fields: Any) -> Order:
    return order(api, {TALKS[api]: [{"role": "user", "content": text} for text in said], **fields})


def text_of(api: Api, body: Mapping[str, Any]) -> str:
    match api:
        case "chat":
            return str(body["choices"][0]["message"]["content"])
        case "messages":
            return str(body["content"][0]["text"])
        case _:
            return str(body["output"][0]["content"][0]["text"])


async def answered(model: Fixture, asked: Order) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((await model.answer(asked)).body)
    return found


async def started(folder: Path, **files: Any) -> Fixture:
    for name, content in files.items():
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(content))
    model = Fixture(path=str(folder))
    assert list(model.check()) == []
    async with model.life(Rungs()):
        return model


@pytest.mark.parametrize("api", TALKS)
async def test_without_files_it_says_back_what_the_user_said_last(api: Api) -> None:
    body = await answered(Fixture(), talk(api, "first", SAID))
    assert text_of(api, body) == SAID
    assert body["model"] == "some-model"


@pytest.mark.parametrize("api", TALKS)
async def test_the_pieces_of_a_stream_are_the_answer(api: Api) -> None:
    found = await pieces(Fixture(), talk(api, SAID))
    whole = await Fixture().answer(talk(api, SAID))
    assert "".join(piece.text for piece in found) == SAID
    assert [piece.usage for piece in found if piece.usage][-1] == whole.usage
    told = [piece.data for piece in found if piece.data]
    assert all(isinstance(msgspec.json.decode(data), dict) and b"\n" not in data for data in told)


async def test_parts_of_a_message_are_read_and_images_passed_over() -> None:
    parts = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    asked = order("chat", {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "Hm"}]})
    assert text_of("chat", await answered(Fixture(), asked)) == "Look:"


async def test_the_usage_of_a_stream_is_shown_to_who_asks_for_it() -> None:
    hidden = await pieces(Fixture(), chat("Hello"))
    shown = await pieces(Fixture(), chat("Hello", stream_options={"include_usage": True}))
    assert hidden[-1].data == b""
    assert msgspec.json.decode(shown[-1].data)["usage"]["total_tokens"] == 4
    assert hidden[-1].usage == shown[-1].usage == Usage(2, 2, estimated=True)


@pytest.mark.parametrize(
    ("api", "limit", "finish"),
    [("chat", "max_tokens", "length"), ("chat", "max_completion_tokens", "length"), ("messages", "max_tokens", "")],
)
async def test_an_answer_is_no_longer_than_it_may_be(api: Api, limit: str, finish: str) -> None:
    body = await answered(Fixture(), talk(api, "a" * 100, **{limit: 5}))
    assert text_of(api, body) == "a" * 20
    if finish:
        assert body["choices"][0]["finish_reason"] == finish
    else:
        assert body["stop_reason"] == "max_tokens"
        assert body["usage"]["output_tokens"] == 5


async def test_the_file_is_taken_that_says_most_exactly_what_it_is_for(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"the weather in Rome").hexdigest()
    model = await started(
        tmp_path,
        a_any={"text": "anything"},
        b_model={"model": "gpt-*", "text": "for gpt"},
        c_several=[
            {"contains": "weather", "text": "sunny"},
            {"contains": "the weather", "text": "sunny there"},
            {"hash": digest, "text": "sunny in Rome"},
        ],
    )

    async def said(text: str, name: str = "claude") -> str:
        return text_of("chat", await answered(model, chat("hello", text, model=name)))

    assert await said("who?") == "anything"
    assert await said("who?", "gpt-5") == "for gpt"
    assert await said("weather!", "gpt-5") == "sunny"
    assert await said("the weather") == "sunny there"
    assert await said("the weather in Rome") == "sunny in Rome"


RICH: dict[str, Any] = {
    "text": "I look.",
    "reasoning": "It asks for weather.",
    "tools": [{"name": "weather", "arguments": {"city": "Łódź"}}, {"name": "news"}],
    "usage": {"input": 100, "output": 20, "cached": 60, "written": 30},
}


async def test_tools_reasoning_and_usage_are_told_in_chat(tmp_path: Path) -> None:
    model = await started(tmp_path, one=RICH)
    whole = await model.answer(chat("?"))
    choice = msgspec.json.decode(whole.body)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"] == "It asks for weather."
    assert [call["function"] for call in choice["message"]["tool_calls"]] == [
        {"name": "weather", "arguments": '{"city":"Łódź"}'},
        {"name": "news", "arguments": "{}"},
    ]
    assert whole.usage == Usage(100, 20, 60, 30)
    streamed = [msgspec.json.decode(piece.data) for piece in await pieces(model, chat("?")) if piece.data]
    calls = [call for chunk in streamed for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert [(call["index"], call["function"]["name"]) for call in calls] == [(0, "weather"), (1, "news")]
    assert streamed[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_tools_reasoning_and_usage_are_told_in_messages(tmp_path: Path) -> None:
    model = await started(tmp_path, one=RICH)
    body = await answered(model, talk("messages", "?"))
    assert [block["type"] for block in body["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert body["content"][2]["input"] == {"city": "Łódź"}
    assert body["usage"]["input_tokens"] == 10
    found = await pieces(model, talk("messages", "?"))
    assert found[0].usage == Usage(100, 0, 60, 30)
    assert [piece.event for piece in found] == [msgspec.json.decode(piece.data)["type"] for piece in found]
    assert (found[0].event, found[-2].event, found[-1].event) == ("message_start", "message_delta", "message_stop")


async def test_tools_are_told_in_responses(tmp_path: Path) -> None:
    model = await started(tmp_path, one={**RICH, "text": ""})
    found = [msgspec.json.decode(piece.data) for piece in await pieces(model, talk("responses", "?"))]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert [item["name"] for item in found[-1]["response"]["output"]] == ["weather", "news"]
    assert found[-1]["type"] == "response.completed"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_file_may_say_no(tmp_path: Path, streamed: bool) -> None:
    model = await started(tmp_path, one={"status": 429, "message": "too many"})
    with pytest.raises(ModelFault, match="too many") as fault:
        await (pieces(model, chat("?")) if streamed else model.answer(chat("?")))
    assert fault.value.status == 429
    assert msgspec.json.decode(fault.value.body)["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (order("chat", {}), "messages"),
        (order("chat", {"messages": "hello"}), "messages"),
        (order("chat", {"messages": [{"role": "user", "content": 5}]}), "messages"),
        (chat("?", max_tokens="many"), "max_tokens"),
        (order("embeddings", {}), "input"),
        (order("embeddings", {"input": []}), "input"),
        (order("embeddings", {"input": "x", "dimensions": 0}), "dimensions"),
        (order("embeddings", {"input": "x", "encoding_format": "hex"}), "encoding_format"),
    ],
)
async def test_what_it_cannot_read_is_named(asked: Order, param: str) -> None:
    with pytest.raises(ModelFault, match=param) as fault:
        await Fixture().answer(asked)
    assert fault.value.status == 400
    assert msgspec.json.decode(fault.value.body)["error"]["param"] == param


async def test_vectors_are_not_streamed() -> None:
    with pytest.raises(ModelFault, match="not streamed"):
        await pieces(Fixture(), order("embeddings", {"input": "x"}))


async def test_vectors_depend_on_the_text_alone() -> None:
    async def vectors(**fields: Any) -> list[Any]:
        return [one["embedding"] for one in (await answered(Fixture(), order("embeddings", fields)))["data"]]

    (one,) = await vectors(input="cat")
    again, other = await vectors(input=["cat", "dog"])
    assert one == again != other
    assert len(one) == 1536
    assert math.isclose(math.fsum(number * number for number in one), 1, abs_tol=1e-5)
    (short,) = await vectors(input=[1, 2, 3], dimensions=8)
    assert len(short) == 8
    assert len(await vectors(input=[[1, 2], [3]], dimensions=8)) == 2
    (written,) = await vectors(input="cat", encoding_format="base64")
    assert array("f", b64decode(written)).tolist() == pytest.approx(one)


async def test_pieces_come_at_their_pace_and_can_be_left_at_any() -> None:
    model = Fixture(first_seconds=0.01, piece_seconds=0.01)
    began = time.monotonic()
    found = await pieces(model, chat("one two three"))
    assert time.monotonic() - began >= 0.01 * (len(found) + 1) * 0.9
    stream = Fixture(piece_seconds=60).stream(chat("never"))
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await stream.aclose()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "bad.json is not an answer"),
        (b'{"txt": "?"}', "unknown field `txt`"),
        (b'{"status": 200}', "`$.status`"),
        (b'{"usage": {"cached": 5}}', "at least as much"),
        (b'"\xff"', "bad.json is not an answer"),
        (None, "there is no .json file"),
    ],
)
async def test_files_that_are_wrong_are_named_before_the_start(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "bad.json").write_bytes(content)
    model = Fixture(path=str(tmp_path))
    (problem,) = model.check()
    assert said in problem.what
    assert problem.key == "path"
    with pytest.raises(ConfigurationError, match=said.replace("$", r"\$")):
        async with model.life(Rungs()):
            pass


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    (problem,) = Fixture(path=str(tmp_path / "none")).check()
    assert "none" in problem.what
