"""How often a lane may be asked: by address, caller, role and route; and when nothing can be counted."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from agentops import Authenticator, Caller, Identity, Kit, Lane, NoSettings
from agentops.core.config.settings import LaneSettings
from agentops.core.errors import Unavailable
from agentops.core.limits import LimitSettings, rate_of
from agentops.core.ports.limiter import Limiter, Rate, Verdict
from agentops.core.problem import ConfigurationError
from agentops.plugins.limiter.memory import Memory
from agentops.testing.server import serving
from tests.core.parts import Kept, Probe, storage_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

OK, REFUSED = 200, 429


class Named(Authenticator[NoSettings]):
    """Believes who somebody says to be, and in which role."""

    async def authenticate(self, caller: Caller) -> Identity | None:
        name, _, role = (caller.header("x-name") or "").partition(":")
        rates = tuple((caller.header("x-rates") or "").split())
        return Identity(name, permissions=frozenset({"probe:*"}), role=role or None, rates=rates) if name else None


class Away(Limiter[NoSettings]):
    comes_back = False

    async def hit(self, key: str, rates: Sequence[Rate], cost: int = 1) -> Verdict:
        if self.comes_back:
            return Verdict(allowed=True, retry_after=0, left=[1 for _ in rates])
        raise Unavailable("limits cannot be counted") from ConnectionError("no route to host")


@asynccontextmanager
async def limited(
    folder: Path, limiter: Limiter | None = None, told: Kept | None = None, **limits: Any
) -> AsyncIterator[httpx.AsyncClient]:
    lanes = [
        Lane("/api", serve=[Probe()], auth=["named"], limits=LimitSettings(**limits), errors="error.v1"),
        Lane("/free", serve=[Probe()], auth=["named"]),
    ]
    kit = Kit(
        storage=storage_in(folder),
        lanes=lanes,
        auth={"named": Named()},
        limiter=limiter or Memory(),
        telemetry={"kept": told or Kept()},
    )
    async with serving(kit) as server:
        yield server.client


async def statuses(client: httpx.AsyncClient, count: int, path: str = "/api/who", name: str = "ada") -> list[int]:
    return [(await client.get(path, headers={"x-name": name})).status_code for _ in range(count)]


@pytest.mark.parametrize("path", ["/api/who", "/free/who"], ids=["limited lane", "free lane"])
async def test_a_key_with_rates_of_its_own_has_those(tmp_path: Path, path: str) -> None:
    async with limited(tmp_path, caller=["3/h"], roles={"admin": 10}) as client:
        key = {"x-name": "ada:admin", "x-rates": "5/h 100/d"}
        answers = [await client.get(path, headers=key) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [OK] * 5 + [REFUSED]
        assert answers[5].headers["ratelimit-policy"] == '"5/3600s";q=5;w=3600, "100/86400s";q=100;w=86400'
        assert (await client.get(path, headers={"x-name": "ada:admin"})).status_code == OK


async def test_each_caller_has_his_own(tmp_path: Path) -> None:
    async with limited(tmp_path, caller=["3/h"]) as client:
        assert await statuses(client, 4) == [OK, OK, OK, REFUSED]
        assert await statuses(client, 1, name="bob") == [OK]
        assert await statuses(client, 4, path="/free/who") == [OK] * 4


async def test_a_refusal_says_by_which_rate_and_when_to_come_back(tmp_path: Path) -> None:
    told = Kept()
    async with limited(tmp_path, told=told, caller=["9/h", "2/m"]) as client:
        await statuses(client, 2)
        answer = await client.get("/api/who", headers={"x-name": "ada"})
    assert answer.status_code == REFUSED
    assert answer.json()["code"] == "TOO_MANY_REQUESTS"
    assert answer.json()["message"] == "more requests of this caller than 2 in 60 s"
    wait = int(answer.headers["retry-after"])
    assert 55 <= wait <= 61
    assert answer.headers["ratelimit-policy"] == '"2/60s";q=2;w=60, "9/3600s";q=9;w=3600'
    assert answer.headers["ratelimit"] == f'"2/60s";r=0;t={wait}, "9/3600s";r=7;t={wait}'
    assert ("count", "limits.refused", 1, {"lane": "", "by": "caller"}) in told.figures


async def test_an_address_is_counted_before_anybody_is_asked_who_it_is(tmp_path: Path) -> None:
    async with limited(tmp_path, address=["3/h"]) as client:
        found = [(await client.get("/api/who")).status_code for _ in range(5)]
        assert found == [401, 401, 401, REFUSED, REFUSED]
        assert await statuses(client, 1) == [REFUSED]


async def test_a_role_may_have_more_and_a_burst_lengthens_the_shortest(tmp_path: Path) -> None:
    async with limited(tmp_path, caller=["2/m", "5/h"], roles={"admin": 10}, burst=1) as client:
        assert Counter(await statuses(client, 9, name="ada")) == {OK: 3, REFUSED: 6}
        assert Counter(await statuses(client, 9, name="ada:viewer")) == {REFUSED: 9}
        assert Counter(await statuses(client, 30, name="bob:admin")) == {OK: 21, REFUSED: 9}


async def test_a_route_may_have_less(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"caller": ["5/h"], "routes": {"GET /refusals/{name}": ["2/h"], "GET /everybody": ["1/h"]}}
    async with limited(tmp_path, **limits) as client:
        kinds = ("NotFound", "Conflict", "NotFound")
        found = [await statuses(client, 1, path=f"/api/refusals/{kind}") for kind in kinds]
        assert found == [[404], [409], [REFUSED]]
        assert await statuses(client, 3) == [OK, OK, REFUSED]
        assert await statuses(client, 2, path="/api/everybody", name="") == [OK, REFUSED]


@pytest.mark.parametrize(("when_down", "status"), [("open", OK), ("closed", 503)])
async def test_a_limiter_that_is_away_is_told_once_and_stands_open_or_closed(
    tmp_path: Path, when_down: str, status: int
) -> None:
    told, limiter = Kept(), Away()
    async with limited(tmp_path, limiter, told, caller=["1/h"], when_down=when_down) as client:
        assert await statuses(client, 5) == [status] * 5
        assert told.named("limits.back") == []
        limiter.comes_back = True
        assert await statuses(client, 2) == [OK] * 2
        assert await statuses(client, 1, path="/free/who") == [OK]
    level, fields = told.only("limits.down")
    assert (level, fields["reason"]) == ("warning", "limits cannot be counted: no route to host")
    assert len(told.named("limits.back")) == 1
    assert fields["meaning"] == ("nobody is limited" if status == OK else "every request is refused")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("5/s", Rate(5, 1)),
        ("100/m", Rate(100, 60)),
        ("7/30s", Rate(7, 30)),
        ("1/2h", Rate(1, 7200)),
        ("9/d", Rate(9, 86400)),
    ],
)
def test_rates_are_written_short(text: str, rate: Rate) -> None:
    assert rate_of(text) == rate
    assert msgspec.convert({"caller": [text]}, LimitSettings).caller == [text]


@pytest.mark.parametrize("text", ["", "5", "5/", "0/s", "-1/s", "5/0s", "5/w", "5/s\n", "5 /s", "٣/s", "5/s, 6/m"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"path": "/a", "serve": [], "limits": {"caller": [text]}}, LaneSettings)


def test_limits_that_nothing_counts_are_a_problem(tmp_path: Path) -> None:
    lanes = [Lane("/api", serve=[Probe()], limits=LimitSettings(caller=["1/s"]))]
    with pytest.raises(ConfigurationError, match="nothing counts requests"):
        Kit(storage=storage_in(tmp_path), lanes=lanes)


def test_a_limit_on_a_route_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    limits = LimitSettings(routes={"GET /whom": ["1/s"]})
    kit = Kit(storage=storage_in(tmp_path), lanes=[Lane("/api", serve=[Probe()], limits=limits)], limiter=Memory())
    with pytest.raises(ConfigurationError, match=r"GET /whom.*did you mean 'GET /who'"):
        kit.app()
