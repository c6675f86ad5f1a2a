"""What is read of a request, and that nothing of it is changed."""

from __future__ import annotations

import base64
import gc
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from agentops import Rungs, Secret
from agentops.core.errors import BadRequest
from agentops.core.ports.model import Order
from agentops.core.signals import Signals
from agentops.plugins.features.gateway.asked import BYTES_A_TOKEN, IMAGE_TOKENS, MORE_AT_WORST, Question
from agentops.plugins.models.anthropic import Anthropic
from agentops.plugins.models.openai import OpenAI
from agentops.testing.provider import FakeProvider

if TYPE_CHECKING:
    from agentops.core.ports.model import Api


def test_fields_are_as_they_were_sent() -> None:
    body = b'{"stream":true,"z":1.00000000000000000001e400,"model":"m","a":{"b" : [1, "\\u00e9"]},"messages":[]}'
    question = Question("chat", body)
    assert {name: bytes(raw) for name, raw in question.fields.items()} == {
        "z": b"1.00000000000000000001e400",
        "a": b'{"b" : [1, "\\u00e9"]}',
        "messages": b"[]",
    }
    assert list(question.fields) == ["z", "a", "messages"]
    assert question.streamed


@pytest.mark.parametrize(
    ("api", "body", "said"),
    [
        ("chat", b"[]", "Expected `object`"),
        ("chat", b"{}", "`model`"),
        ("chat", b'{"model":7}', "$.model"),
        ("chat", b'{"model":""}', "$.model"),
        ("chat", b'{"model":"m","stream":"yes"}', "$.stream"),
        ("chat", b'{"model":"m","max_tokens":0}', "$.max_tokens"),
        ("chat", b'{"model":"m","n":-1}', "$.n"),
        ("chat", b'{"model":"m"', "truncated"),
        ("chat", b'{"model":"m","x":"\xff"}', "UTF-8"),
        ("embeddings", b'{"model":"m","stream":true}', "not streamed"),
    ],
)
def test_what_cannot_be_understood_is_told(api: Api, body: bytes, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        Question(api, body)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ("", None),
        (',"max_tokens":5', 5),
        (',"max_completion_tokens":7,"max_tokens":5', 7),
        (',"max_output_tokens":9', None),
        (',"max_tokens":5,"n":3', 15),
        (',"max_tokens":null', None),
    ],
)
def test_the_bound_of_what_is_written(fields: str, most: int | None) -> None:
    assert Question("chat", b'{"model":"m"%b}' % fields.encode()).most_output == most


def test_what_is_read_is_the_text_and_not_its_frame() -> None:
    question = Question("chat", b'{"model":"m","temperature":1,"messages":[{"role":"user","content":"hello there"}]}')
    assert question.read_likely == -(-len("userhello there") // BYTES_A_TOKEN) + 1
    assert question.read_at_worst == len("userhello there") + 1 + MORE_AT_WORST


def test_the_data_of_images_are_not_text() -> None:
    image = base64.b64encode(bytes(range(256)) * 400).decode()
    for data in (image, f"data:image/png;base64,{image}"):
        body = f'{{"model":"m","messages":[{{"role":"user","content":[{{"url":"{data}"}}]}}]}}'
        assert Question("chat", body.encode()).read_likely == IMAGE_TOKENS + 3


@pytest.mark.parametrize(
    "fields",
    [
        '"messages":[{{"role":"user","content":"{}"}}]',
        '"messages":[{{"role":"user","content":[{{"type":"text","text":"data:image/png;base64,{}"}}]}}]',
        '"tools":[{{"function":{{"parameters":{{"properties":{{"{}":{{}}}}}}}}}}]',
        '"response_format":{{"json_schema":"{}"}}',
        '"functions":["{}"]',
        '"some_field_of_tomorrow":"{}"',
    ],
)
def test_text_is_text_whatever_it_looks_like_and_wherever_it_stands(fields: str) -> None:
    text = "A" * 100_000
    question = Question("chat", f'{{"model":"m",{fields.format(text)}}}'.encode())
    assert question.read_at_worst >= len(text)
    assert question.read_likely >= len(text) // BYTES_A_TOKEN


def test_ids_of_tokens_are_tokens() -> None:
    assert Question("embeddings", b'{"model":"m","input":[[1,2,3],[4]]}').read_likely == 4


def test_what_was_sent_need_not_be_kept() -> None:
    question = Question("chat", b'{"model":"m","temperature":0.5,"messages":[{"role":"user","content":"hi"}]}')
    before = question.read_likely
    question.let_go()
    assert not question.fields
    assert {name: bytes(raw) for name, raw in question.parameters.items()} == {"temperature": b"0.5"}
    assert question.read_likely == before


@pytest.mark.parametrize(
    ("kind", "path", "api"),
    [(OpenAI, "/v1", "chat"), (OpenAI, "/v1", "responses"), (Anthropic, "", "chat"), (Anthropic, "", "messages")],
)
async def test_a_stream_that_has_begun_keeps_nothing_of_what_it_was_asked(
    kind: type[OpenAI | Anthropic], path: str, api: Api
) -> None:
    body = b'{"model":"m","max_tokens":9,"input":"hi","messages":[{"role":"user","content":"hi"}]}'
    alone = sys.getrefcount(body)
    async with FakeProvider() as provider:
        model = kind(base_url=f"{provider.url}{path}", key=Secret("sk-the-key-of-this-server"))
        async with model.life(Rungs(signals=Signals())):
            question = Question(api, body)
            async with aclosing(model.stream(Order(api, "m", question.fields, streamed=True))) as pieces:
                await anext(pieces)
                question.let_go()
                gc.collect()
                assert sys.getrefcount(body) == alone
