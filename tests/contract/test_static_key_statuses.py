"""What a lane with a static key answers, as wire §1 and §3 say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from agentops import Kit, Lane
from agentops.core.secret import Secret
from agentops.plugins.auth.static_key import StaticKey, StaticKeySettings
from agentops.plugins.features.runs import Runs
from agentops.plugins.storage.sqlite import Sqlite
from agentops.testing.server import serving

if TYPE_CHECKING:
    from pathlib import Path

    from agentops.core.config.settings import ErrorStyle

KEY = "the-key-of-the-assistants"
ASSIST = "X-Olumi-Assist-Key"


def kit(tmp_path: Path, errors: ErrorStyle, settings: StaticKeySettings) -> Kit:
    lane = Lane("/assist", auth=["key"], serve=[Runs()], errors=errors)
    return Kit(storage=Sqlite(path=str(tmp_path / "test.sqlite")), auth={"key": StaticKey(settings)}, lanes=[lane])


def assistants(tmp_path: Path) -> Kit:
    return kit(tmp_path, "error.v1", StaticKeySettings(header=ASSIST, keys=[Secret(KEY)], wrong_key_status=403))


async def asked(kit: Kit, *headers: tuple[str, str]) -> httpx.Response:
    async with serving(kit) as server:
        return await server.client.get("/assist/runs", headers=list(headers))


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([], 401, "UNAUTHENTICATED"),
        ([(ASSIST, "")], 401, "UNAUTHENTICATED"),
        ([("Authorization", f"Bearer {KEY}")], 401, "UNAUTHENTICATED"),
        ([(ASSIST, KEY), (ASSIST, KEY)], 401, "UNAUTHENTICATED"),
        ([(ASSIST, "wrong")], 403, "FORBIDDEN"),
        ([(ASSIST.lower(), KEY[:-1])], 403, "FORBIDDEN"),
    ],
    ids=["missing", "empty", "elsewhere", "twice", "wrong", "nearly"],
)
async def test_assistants_tell_a_missing_key_from_a_wrong_one(
    tmp_path: Path, headers: list[tuple[str, str]], status: int, code: str
) -> None:
    answer = await asked(assistants(tmp_path), *headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    told: dict[str, Any] = msgspec.json.decode(answer.content)
    assert told.keys() == {"schema", "code", "message", "details", "request_id"}
    assert (told["schema"], told["code"]) == ("error.v1", code)
    assert told["message"]
    assert told["request_id"] == answer.headers["x-request-id"]
    assert KEY not in answer.text


@pytest.mark.parametrize("name", [ASSIST, ASSIST.lower(), ASSIST.upper()])
async def test_assistants_know_their_key_under_any_spelling_of_the_header(tmp_path: Path, name: str) -> None:
    assert (await asked(assistants(tmp_path), (name, KEY))).status_code == 200


@pytest.mark.parametrize("headers", [[], [("x-api-key", "wrong")]], ids=["missing", "wrong"])
async def test_the_dashboard_tells_nothing_apart(tmp_path: Path, headers: list[tuple[str, str]]) -> None:
    answer = await asked(kit(tmp_path, "plain", StaticKeySettings(keys=[Secret(KEY)])), *headers)
    assert (answer.status_code, answer.content) == (401, b'{"error":"unauthorized"}')
    assert answer.headers["connection"] == "close"
