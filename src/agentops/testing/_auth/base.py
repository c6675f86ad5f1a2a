"""What the parts of the contract of authenticators have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias, cast

import pytest
import pytest_asyncio
from litestar import get

from agentops.core.config.settings import EventSettings
from agentops.core.discovery import find
from agentops.core.errors import Rejected
from agentops.core.identity import Identity
from agentops.core.kit import Kit
from agentops.core.lanes import Lane
from agentops.core.plugin import NoSettings
from agentops.core.ports.auth import Authenticator, Caller
from agentops.core.ports.feature import Feature
from agentops.testing._running import Running, kept_running, storage_in

AnyAuthenticator: TypeAlias = Authenticator[Any]
Change: TypeAlias = Callable[[bytes], bytes]

NEEDED: Final = "contract:read"

UNRELATED: Final = [(b"host", b"localhost"), (b"user-agent", b"contract/1"), (b"accept", b"*/*")]

ENDINGS: Final[dict[str, Change]] = {
    "one-shorter": lambda value: value[:-1],
    "half-of-it": lambda value: value[: len(value) // 2],
    "one-longer": lambda value: value + b"0",
    "another-last-letter": lambda value: value[:-1] + (b"1" if value.endswith(b"0") else b"0"),
    "not-ascii": lambda value: value + b"\xe9",
    "not-utf-8": lambda value: value + b"\xff\xfe",
    "with-a-nul": lambda value: value + b"\0",
    "twice-in-one": lambda value: value + b", " + value,
    "64-kb-longer": lambda value: value + b"a" * 65_536,
}


class AuthTests:
    """The fixtures: `authenticator`, `good` and `wrong` are the subclass's to give."""

    @pytest.fixture
    def authenticator(self) -> AnyAuthenticator:
        raise NotImplementedError("give a fixture `authenticator`: one that has not started, and accepts `good`")

    @pytest.fixture
    def good(self) -> Caller:
        raise NotImplementedError("give a fixture `good`: a caller whose credential is accepted")

    @pytest.fixture
    def wrong(self) -> Caller:
        raise NotImplementedError("give a fixture `wrong`: a caller whose credential is refused")

    @pytest.fixture
    def near_good(self, good: Caller) -> Sequence[Caller]:
        """Nearly the good credential; give none where any text is good from the right peer, such as a user's name."""
        return [changed(good, change) for change in ENDINGS.values()]

    @pytest.fixture
    def many_wrong(self, wrong: Caller) -> Callable[[int], Caller]:
        """A wrong credential for each number; give well-formed ones if the shape alone gives these away."""
        return lambda number: changed(wrong, lambda value: b"%b%d" % (value, number))

    @pytest.fixture
    def secrets(self, good: Caller, wrong: Caller) -> Sequence[str]:
        """What may never be shown: the last word of each header, so that `Bearer` may be said. A name is no secret."""
        values = [value.decode("latin-1").split() for caller in (good, wrong) for _, value in caller.headers]
        return [words[-1] for words in values if words]

    @pytest.fixture
    def kit(self, authenticator: AnyAuthenticator, tmp_path: Path) -> Kit:
        """A deployment in which only this authenticator guards the one lane there is.

        Runs are served too, for an authenticator may hand out only permissions that some feature asks for.
        """
        lane = Lane("/lane", auth=["mine"], serve=[OnePage(), cast("Feature[Any]", find("feature", "runs")())])
        keep_all = EventSettings(retention=0)  # else a start looks for events to prune, and is stopped in it
        return Kit(storage=storage_in(tmp_path), auth={"mine": authenticator}, lanes=[lane], events=keep_all)

    @pytest_asyncio.fixture
    async def running(self, kit: Kit) -> AsyncIterator[Running]:
        async with kept_running(kit) as running:
            assert kit.down == {}, "the authenticator could not start"
            yield running


class OnePage(Feature[NoSettings]):
    """Something to guard; it names the permission it needs, as the refusal of somebody without it does."""

    permissions: ClassVar[Mapping[str, str]] = {NEEDED: "see the page"}

    def routes(self) -> Sequence[object]:
        return [get("/page", opt={"permission": NEEDED})(_page)]


async def _page() -> str:
    return NEEDED


async def verdict(authenticator: AnyAuthenticator, caller: Caller) -> Identity | Rejected | None:
    """What an authenticator says of a caller; whatever else it raises is a fault."""
    try:
        return await authenticator.authenticate(caller)
    except Rejected as rejected:
        return rejected


def answer_of(outcome: Identity | Rejected | None) -> object:
    """Everything of a rejection that its receiver can see."""
    assert isinstance(outcome, Rejected)
    shown = outcome.status, outcome.code, outcome.title, outcome.message
    return *shown, outcome.hint, outcome.param, outcome.headers


def changed(caller: Caller, change: Change) -> Caller:
    """The same caller with every value changed."""
    return Caller([(name, change(value)) for name, value in caller.headers], caller.peer)


def as_sent(caller: Caller, spell: Callable[[str], str]) -> list[tuple[bytes, bytes]]:
    return [(spell(name.decode()).encode(), value) for name, value in caller.headers]
