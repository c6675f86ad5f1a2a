"""Bodies: read within a bound, and decoded strictly or refused with a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from agentops import Refusal, ServerSettings
from agentops.core.http.asgi import Message
from agentops.core.http.bodies import DROPPED, decode_json, media_type_of, read_body, require_json

if TYPE_CHECKING:
    from collections.abc import Sequence


class Coming:
    """A request whose body comes in these parts, and which says how many of them were taken."""

    def __init__(self, parts: Sequence[bytes], *headers: tuple[bytes, bytes]) -> None:
        self.scope = {"headers": headers}
        self.left = list(parts)

    async def receive(self) -> Message:
        if not self.left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self.left.pop(0), "more_body": bool(self.left)}


def coming(parts: Sequence[bytes], *headers: tuple[bytes, bytes]) -> Any:
    return Coming(parts, *headers)


@pytest.mark.parametrize("parts", [[b""], [b"abcdef"], [b"abc", b"def"], [b"", b"abc", b"", b"def", b""]], ids=repr)
async def test_a_body_is_what_its_parts_are_together(parts: list[bytes]) -> None:
    assert await read_body(coming(parts), 6) == b"".join(parts)


@pytest.mark.parametrize("parts", [[b"1234567"], [b"123", b"4567"], [b"1234567", b"8"]], ids=repr)
async def test_one_byte_too_many_is_413(parts: list[bytes]) -> None:
    with pytest.raises(Refusal) as raised:
        await read_body(coming(parts), 6)
    assert (raised.value.status, raised.value.headers) == (413, {"Connection": "close"})


async def test_of_what_is_much_too_large_the_rest_is_not_read() -> None:
    request = coming([b"x"] * 100)
    with pytest.raises(Refusal):
        await read_body(request, 6)
    assert 100 - len(request.left) == 6 * DROPPED + 1


@pytest.mark.parametrize(
    ("declared", "understood"),
    [(b"application/json", "application/json"), (b" Text/HTML ; charset=x", "text/html"), (b"", "")],
)
def test_the_media_type_is_what_stands_before_the_parameters(declared: bytes, understood: str) -> None:
    assert media_type_of(coming([], (b"accept", b"*/*"), (b"content-type", declared))) == understood


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-ndjson", "json", "application/json2"])
def test_what_is_not_json_is_415(media_type: str) -> None:
    with pytest.raises(Refusal, match=f"not {media_type}") as raised:
        require_json(media_type)
    assert raised.value.status == 415


def test_without_a_declaration_there_is_no_media_type() -> None:
    assert media_type_of(coming([], (b"accept", b"*/*"))) == ""
    require_json("")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b'{"host":7}', "invalid_body"),
        (b'{"hoost":"x"}', "invalid_body"),
        (b'{"host":"\xff"}', "invalid_json"),
    ],
)
def test_what_does_not_decode_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Refusal) as raised:
        decode_json(msgspec.json.Decoder(ServerSettings), body)
    assert (raised.value.status, raised.value.code) == (400, code)
    assert raised.value.message


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(Refusal, match="nested too deeply"):
        decode_json(msgspec.json.Decoder(), b"[" * 100_000)
