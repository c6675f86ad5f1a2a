"""Tokens at the door of a lane: what a client sees, and what is written down."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.kit import Kit
from agentops.core.lanes import Lane
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.features.runs import Runs
from agentops.plugins.storage.sqlite import Sqlite
from agentops.plugins.telemetry.log import Log
from agentops.testing.server import Frames, following, serving
from tests.security.jwt_making import ABSENT, SECRET, claims, private_key, signed
from tests.security.jwt_publisher import jwk, publishing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    import httpx

CANARY = "canary-7f3a91"
OTHER: dict[str, Any] = {"issuer": "other", "secret": SECRET[::-1]}


def said(**changes: object) -> dict[str, object]:
    now = int(time.time())
    usual: dict[str, object] = {"iat": now, "exp": now + 600, "permissions": ["runs:*"], "sub": CANARY, "aud": ABSENT}
    return claims(**{**usual, **changes})


@asynccontextmanager
async def lane(tmp_path: Path, **auth: Jwt) -> AsyncGenerator[httpx.AsyncClient]:
    kit = Kit(
        storage=Sqlite(path=str(tmp_path / "lane.sqlite")),
        auth=auth,
        telemetry={"log": Log(level="debug", format="json")},
        lanes=[Lane("/api", auth=list(auth), serve=[Runs()], errors="plain")],
    )
    async with serving(kit) as server:
        yield server.client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_every_refusal_has_the_same_bytes_and_nothing_of_a_token_is_written_down(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = {
        "none-at-all": {},
        "expired": bearer(signed(said(exp=1))),
        "signature": bearer(signed(said(), key=SECRET[::-1])),
        "unknown-issuer": bearer(signed(said(iss=CANARY))),
        "no-token": bearer(CANARY),
        "two-dots": bearer(f"{CANARY}.{CANARY}.{CANARY}"),
        "none": bearer(signed(said(), alg="none")),
        "audience": bearer(signed(said(aud=CANARY))),
        "algorithm": bearer(signed(said(), alg=CANARY)),
        "subject": bearer(signed(said(sub=[CANARY]))),
        "long": bearer(signed(said(x=CANARY * 2000))),
        "scheme": {"Authorization": f"Basic {CANARY}"},
    }
    async with lane(tmp_path, people=Jwt(issuer="https://issuer.test/", secret=SECRET)) as client:
        answers = {name: await client.get("/api/runs", headers=headers) for name, headers in refused.items()}
        let_in = await client.get("/api/runs", headers=bearer(signed(said(sub="ada"))))
    assert let_in.status_code == 200
    assert {(answer.status_code, answer.content) for answer in answers.values()} == {(401, b'{"error":"unauthorized"}')}
    shown = {tuple(sorted(set(answer.headers) - {"date", "x-request-id"})) for answer in answers.values()}
    assert len(shown) == 1
    written = "".join(capfd.readouterr())
    assert "jwt.refused" in written, "an operator can find out why"
    leaked = [CANARY, *(headers["Authorization"].split()[1][-20:] for headers in refused.values() if headers)]
    assert [part for part in leaked if part in written] == []


async def test_two_authenticators_of_tokens_stand_in_one_chain(tmp_path: Path) -> None:
    first, second = Jwt(issuer="https://issuer.test/", secret=SECRET), Jwt(**OTHER)
    async with lane(tmp_path, first=first, second=second) as client:
        tokens = [signed(said()), signed(said(iss="other"), key=SECRET[::-1]), signed(said(iss="third"))]
        answers = [await client.get("/api/runs", headers=bearer(token)) for token in tokens]
    assert [answer.status_code for answer in answers] == [200, 200, 401]


async def test_without_keys_the_answer_is_503_and_others_are_served(tmp_path: Path) -> None:
    down = Jwt(issuer="down", jwks_url="http://127.0.0.1:1/", algorithms=["EdDSA"])
    async with lane(tmp_path, first=down, second=Jwt(**OTHER)) as client:
        answer = await client.get(
            "/api/runs", headers=bearer(signed(said(iss="down"), "EdDSA", private_key("ed25519"), kid="1"))
        )
        other = await client.get("/api/runs", headers=bearer(signed(said(iss="other"), key=SECRET[::-1])))
    assert (answer.status_code, answer.json()["error"]) == (503, "auth_unavailable")
    assert answer.headers["retry-after"]
    assert other.status_code == 200


async def test_the_open_stream_of_a_withdrawn_key_ends(tmp_path: Path) -> None:
    private = private_key("ed25519")
    async with publishing(jwk(private, "EdDSA")) as publisher:
        often: dict[str, Any] = {"jwks_refresh_seconds": 0.05, "jwks_wait_seconds": 60}
        people = Jwt(issuer="c", jwks_url=publisher.url, algorithms=["EdDSA"], **often)
        token = signed(said(iss="c"), "EdDSA", private, kid="1")
        async with lane(tmp_path, people=people) as client, asyncio.timeout(20):
            async with following(client, "/api/runs/a/stream", **bearer(token)) as frames:
                publisher.keys = []
                await to_the_end(frames)
            assert (await client.get("/api/runs", headers=bearer(token))).status_code == 401


async def to_the_end(frames: Frames) -> None:
    with suppress(StopAsyncIteration):
        while True:
            await frames.next()
