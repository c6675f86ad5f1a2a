"""Figures for a DogStatsD agent: lines in datagrams, which are lost when nobody listens, and cost nobody a wait."""

from __future__ import annotations

import asyncio
import math
import re
import socket
import time
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta

from agentops.core.forever import in_background
from agentops.core.plugin import Settings
from agentops.core.ports.telemetry import Telemetry
from agentops.core.problem import Problem
from agentops.core.resolving import REMEMBERED_SECONDS, Resolver
from agentops.core.signals import Signals
from agentops.figures import REST, VALUE_MOST

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

    from agentops.core.ports.telemetry import Level
    from agentops.core.resolving import AddressInfo
    from agentops.core.rungs import Rungs

NAME_MOST: Final = 200
TEXT_MOST: Final = 500
START_SECONDS: Final = 1.0
"""How long a start waits for the name of the agent to be looked up; figures told before that is done are lost."""
QUIET_SECONDS: Final = 30.0
"""Without a failure for so long it works again: a port without a listener fails every second datagram only."""
REMEMBERED_MOST: Final = 4_096

_LEVELS: Final = {"none": (), "error": ("error",), "warning": ("warning", "error")}


class DogStatsDSettings(Settings):
    """`use = "dogstatsd"`."""

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8125
    prefix: Annotated[str, Meta(pattern=r"^([a-zA-Z][a-zA-Z0-9_.]*[._])?(?!\n)$")] = "agentops."
    tags: list[str] = []
    """Put on everything, such as `env:staging`."""
    observations: Literal["distribution", "histogram"] = "distribution"
    """Whether what is observed is added up by Datadog over all hosts, or by the agent of each."""
    events: Literal["none", "error", "warning"] = "none"
    """Down to which level what the log tells is sent as an event too."""
    packet_bytes: Annotated[int, Meta(ge=512, le=8192)] = 1_432
    """So many lines go into one datagram as fit; the default passes through any network in one piece."""
    wait_seconds: Annotated[float, Meta(ge=0, le=10)] = 0.1
    """How long a line waits for others at most."""


class DogStatsD(Telemetry[DogStatsDSettings]):
    """Every figure as it is told: the agent adds them up."""

    def __init__(self, settings: DogStatsDSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        self._letter = "d" if self.settings.observations == "distribution" else "h"
        self._ends: dict[tuple[tuple[str, str], ...], str] = {}
        self._datagrams = _Datagrams(self.settings)

    def check(self) -> Iterable[Problem]:
        for index, tag in enumerate(self.settings.tags):
            if re.fullmatch(r"[a-zA-Z][!-~]*", tag) is None or re.search(r"[|#,]", tag) or len(tag) > NAME_MOST:
                yield Problem(
                    f"tags[{index}]",
                    "this is no tag",
                    "the agent would read something else",
                    f'write it as "env:staging": printable ASCII without space, | # and comma, at most {NAME_MOST}',
                )

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._datagrams.signals = rungs.signals
        resolver, is_settled = Resolver(self.settings.host, self.settings.port, socket.SOCK_DGRAM), asyncio.Event()
        try:
            async with in_background(
                rungs.signals, {"dogstatsd": partial(self._datagrams.follow, resolver, is_settled)}
            ):
                with suppress(TimeoutError):
                    async with asyncio.timeout(START_SECONDS):
                        await is_settled.wait()
                yield
        finally:
            self._datagrams.close()

    def event(self, name: str, level: Level, fields: dict[str, object]) -> None:
        self.count("events", 1, {"name": name, "level": level})
        if level in _LEVELS[self.settings.events]:
            self._datagrams.put(_event(name, level, fields) + self._end({}))

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        if 0 <= amount < math.inf:
            self._put(name, amount, "c", labels)

    def observe(self, name: str, value: float, labels: dict[str, str]) -> None:
        self._put(name, value, self._letter, labels)

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        self._put(name, value, "g", labels)

    def _put(self, name: str, value: float, letter: str, labels: Mapping[str, str]) -> None:
        if math.isfinite(value):
            self._datagrams.put(f"{_metric(self.settings.prefix, name)}:{value:.15g}|{letter}{self._end(labels)}")

    def _end(self, labels: Mapping[str, str]) -> str:
        told = tuple(labels.items())
        end = self._ends.get(told)
        if end is None:
            tags = [*self.settings.tags, *(f"{_word(name)}:{_word(value)}" for name, value in told)]
            end = f"|#{','.join(tags)}" if tags else ""
            if len(self._ends) < REMEMBERED_MOST and all(len(value) <= VALUE_MOST for _, value in told):
                self._ends[told] = end
        return end


class _Datagrams:
    """Lines wait for one another for a moment, and go together."""

    def __init__(self, settings: DogStatsDSettings) -> None:
        self.signals = Signals()
        self._settings = settings
        self._socket: socket.socket | None = None
        self._address: AddressInfo | None = None
        self._waiting: list[str] = []
        self._size = 0
        self._due: asyncio.TimerHandle | None = None
        self._failing_since: float | None = None

    def put(self, line: str) -> None:
        """Everything in a line is ASCII by now, but for the text of an event."""
        size = len(line) if line.isascii() else len(line.encode())
        if size > self._settings.packet_bytes:
            self._failed("a line does not fit into a datagram")
            return
        if self._size + size > self._settings.packet_bytes:
            self.send()
        self._waiting.append(line)
        self._size += size + 1
        if self._due is None:
            self._wait()

    def send(self) -> None:
        lines, self._waiting, self._size = self._waiting, [], 0
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if lines and self._socket is not None:
            try:
                self._socket.send("\n".join(lines).encode())
            except OSError as error:
                self._failed(type(error).__name__)
            else:
                self._sent()

    async def follow(self, resolver: Resolver, is_settled: asyncio.Event) -> None:
        """Look up where the agent is, and rest before it is looked up again, for it may move."""
        try:
            self._connect((await resolver.addresses())[0])
        except OSError as error:
            self._failed(f"{self._settings.host} cannot be found: {type(error).__name__}")
        is_settled.set()
        await asyncio.sleep(REMEMBERED_SECONDS)

    def close(self) -> None:
        self.send()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._address = self._failing_since = None

    def _connect(self, address: AddressInfo) -> None:
        """Connected, or nobody would tell us that nobody listens."""
        if address == self._address:
            return
        family, target = address
        connected = socket.socket(family, socket.SOCK_DGRAM)
        connected.setblocking(False)
        connected.connect(target)
        if self._socket is not None:
            self._socket.close()
        self._socket, self._address = connected, address

    def _wait(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.send()
        else:
            self._due = loop.call_later(self._settings.wait_seconds, self.send)

    def _failed(self, reason: str) -> None:
        was_failing, self._failing_since = self._failing_since is not None, time.monotonic()
        if not was_failing:
            agent = f"{self._settings.host}:{self._settings.port}"
            self._tell("dogstatsd.failing", agent=agent, reason=reason, meaning="figures are lost")

    def _sent(self) -> None:
        if self._failing_since is not None and time.monotonic() - self._failing_since > QUIET_SECONDS:
            self._failing_since = None
            self._tell("dogstatsd.works_again")

    def _tell(self, name: str, **fields: str) -> None:
        """Within no request: the one that happens to begin or to fill a datagram has nothing to do with it."""
        Context().run(self.signals.event, name, "warning", **fields)


@lru_cache(maxsize=REMEMBERED_MOST)
def _metric(prefix: str, name: str) -> str:
    plain = prefix + re.sub(r"[^a-zA-Z0-9_.]", "_", name)[:NAME_MOST]
    return plain if plain[:1].isalpha() else f"figure.{plain}"


def _word(text: str) -> str:
    """A part of a tag: nothing in it ends the tag, the line or the datagram."""
    return re.sub(r"[^!-~]|[|#,:]", "_", str(text)) if len(text) <= VALUE_MOST else REST


def _event(name: str, level: Level, fields: Mapping[str, object]) -> str:
    """With those fields that are plain; an error is told by its kind alone, for its words may quote what was sent."""
    told = "\n".join(f"{key}: {_plain(value)}" for key, value in fields.items() if _plain(value))
    title, text = _text(name) or "event", _text(told)
    return f"_e{{{len(title.encode())},{len(text.encode())}}}:{title}|{text}|t:{level}"


def _plain(value: object) -> str:
    if isinstance(value, BaseException):
        return type(value).__qualname__
    return str(value) if isinstance(value, (str, int, float)) else ""


def _text(text: str) -> str:
    """A line of its own, whose length is told; a break is written as two letters."""
    short = text[:TEXT_MOST].encode("utf-8", "replace").decode()
    return re.sub(r"[\x00-\x1f\x7f\u2028\u2029|]", " ", short.replace("\r", "").replace("\n", "\\n"))
