"""Small plugins for tests of the core, as a stranger would write them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from litestar import Request, get, post

from agentops import Authenticator, Caller, Feature, Identity, NoSettings, Rejected, Telemetry
from agentops.core import errors
from agentops.core.http.answers import Answer, json_answer
from agentops.plugins.features.runs import Runs
from agentops.plugins.storage.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from agentops import Kit
    from agentops.core.eventlog import EventLog


async def until(condition: Callable[[], object]) -> None:
    """Return once it holds; for what tells nobody when it happens."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.002)


def storage_in(folder: Path) -> Sqlite:
    return Sqlite(path=str(folder / "agentops.sqlite"))


class Kept(Telemetry[NoSettings]):
    """Keeps what it is told."""

    def __init__(self, settings: NoSettings | None = None, /) -> None:
        super().__init__(settings)
        self.events: list[tuple[str, str, dict[str, object]]] = []
        self.figures: list[tuple[str, str, float, dict[str, str]]] = []

    def event(self, name: str, level: str, fields: dict[str, object]) -> None:
        self.events.append((name, level, fields))

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        self.figures.append(("count", name, amount, labels))

    def observe(self, name: str, value: float, labels: dict[str, str]) -> None:
        self.figures.append(("observe", name, value, labels))

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        self.figures.append(("gauge", name, value, labels))

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for each, _, fields in self.events if each == name]

    def only(self, name: str) -> tuple[str, dict[str, object]]:
        """Of the one event of this name, the level and the fields."""
        ((level, fields),) = [(level, fields) for each, level, fields in self.events if each == name]
        return level, fields


RIGHTS = {"reader": {"probe:read"}, "writer": {"probe:*"}, "recorder": {"runs:write"}}


class Badge(Authenticator[NoSettings]):
    """Knows who has which rights, and cannot bear a badge that says `boom`."""

    async def authenticate(self, caller: Caller) -> Identity | None:
        badge = caller.header("x-badge")
        if badge is None:
            return None
        if badge == "boom":
            raise RuntimeError("the secret of this authenticator is 1234")
        if badge not in RIGHTS:
            raise Rejected(status=403 if badge == "forbidden" else 401)
        return Identity(badge, permissions=frozenset(RIGHTS[badge]))


class Probe(Feature[NoSettings]):
    """Fails in every way that a handler can."""

    permissions: ClassVar = {"probe:read": "look", "probe:write": "touch"}
    error_styles: ClassVar = {"/styled": "openai", "/styled/deep": "anthropic"}

    def routes(self) -> Sequence[object]:
        read, write = {"permission": "probe:read"}, {"permission": "probe:write"}
        return [
            get("/refusals/{name:str}", opt=read)(self.refuse),
            get("/who", opt=read)(self.who),
            get("/everybody", opt={"public": True})(self.who),
            get("/boom", opt=read)(self.boom),
            post("/written", opt=write)(self.who),
            get(["/styled", "/styled/deep/boom", "/styles"], opt=read)(self.boom),
        ]

    async def refuse(self, request: Request[Any, Any, Any]) -> Answer:
        kind: type[errors.Refusal] = getattr(errors, request.path_params["name"])
        raise kind("said so")

    async def who(self, request: Request[Any, Any, Any]) -> Answer:
        return json_answer(request.user.subject)

    async def boom(self, request: Request[Any, Any, Any]) -> Answer:
        raise RuntimeError("the password is 1234")


class Steps:
    """What started and stopped, in order, and what each part found below itself."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.below: dict[str, list[str]] = {}

    @asynccontextmanager
    async def around(
        self, name: str, life: AbstractAsyncContextManager[object], *, fails: bool = False
    ) -> AsyncIterator[None]:
        if fails:
            raise OSError("out of luck")
        async with life:
            self.taken.append(f"{name} starts")
            try:
                yield
            finally:
                self.taken.append(f"{name} stops")


def events_of(kit: Kit) -> EventLog:
    """The event log of a kit that runs and serves runs."""
    (runs,) = (feature for feature in kit.deployment.features if isinstance(feature, Runs))
    return runs._events
