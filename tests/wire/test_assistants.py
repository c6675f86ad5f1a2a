"""`config/assistants.toml`: one static key in a header of its own, and errors as `error.v1`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentops.testing.server import client_of
from tests.wire.deployed import deployed

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "an assistant's key"
HEADER = "X-Olumi-Assist-Key"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([], 401, "UNAUTHENTICATED"),
        ([("Authorization", f"Bearer {KEY}")], 401, "UNAUTHENTICATED"),
        ([(HEADER, "wrong")], 403, "FORBIDDEN"),
        ([(HEADER, "")], 401, "UNAUTHENTICATED"),
        ([(HEADER, KEY)], 200, None),
        ([(HEADER.lower(), KEY)], 200, None),
        ([(HEADER.upper(), KEY)], 200, None),
    ],
)
async def test_who_is_let_in(
    storage: dict[str, str], headers: Sequence[tuple[str, str]], status: int, code: str | None
) -> None:
    async with deployed("assistants", [], storage | {"ASSIST_API_KEY": KEY}) as up:
        answer = await up.api.get("/runs", headers=headers)
        assert answer.status_code == status
        if code is not None:
            told = answer.json()
            assert told.keys() == {"schema", "code", "message", "details", "request_id"}
            assert (told["schema"], told["code"]) == ("error.v1", code)
            assert told["request_id"] == answer.headers["x-request-id"]
            assert KEY not in answer.text


async def test_health_needs_no_key(storage: dict[str, str]) -> None:
    async with (
        deployed("assistants", [], storage | {"ASSIST_API_KEY": KEY}) as up,
        client_of(up.server.url) as client,
    ):
        assert (await client.get("/healthz")).status_code == 200


async def test_without_a_key_it_is_open(storage: dict[str, str]) -> None:
    async with deployed("assistants", [], storage) as up:
        assert (await up.api.get("/runs")).status_code == 200
