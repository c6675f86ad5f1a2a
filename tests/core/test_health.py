"""Health: parts that work, fail, hang and lie; asked once, remembered, and told when it changes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from agentops import Bus, NoSettings
from agentops.core.errors import Unavailable
from agentops.core.health import HealthChecks
from agentops.core.ports.health import Health
from agentops.core.signals import Signals
from tests.core.parts import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentops.core.ports.bus import Listener, Ring
    from agentops.core.ports.health import HealthStatus


class Part(Bus[NoSettings]):
    """Says what it is told to say."""

    def __init__(self, answer: Health | Exception | None = None, *, critical: bool = True) -> None:
        super().__init__()
        self.answer = answer if answer is not None else Health()
        self.critical = critical
        self.asked = 0

    async def health(self) -> Health:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def ring(self, ring: Ring) -> None: ...

    def listen(self, listener: Listener) -> Callable[[], None]:
        return lambda: None


class Hanging(Part):
    """Does not even end when it is told to."""

    async def health(self) -> Health:
        for _ in range(3):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0.3)
        raise AssertionError("never")


class Silent(Bus[NoSettings]):
    """Cannot tell."""

    def ring(self, ring: Ring) -> None: ...

    def listen(self, listener: Listener) -> Callable[[], None]:
        return lambda: None


@pytest.fixture
def told() -> Kept:
    return Kept()


def checks(
    parts: Mapping[str, Bus], told: Kept | None = None, *, kept: float = 30, down: dict[str, str] | None = None
) -> HealthChecks:
    signals = Signals()
    if told is not None:
        signals._sinks.append(told)
    return HealthChecks(parts.items(), down or {}, signals, timeout_seconds=0.2, kept_seconds=kept)


DEGRADED, UNHEALTHY = Health("degraded"), Health("unhealthy")


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ({}, "healthy"),
        ({"a": Part(), "b": Silent()}, "healthy"),
        ({"a": Part(), "b": Part(DEGRADED)}, "degraded"),
        ({"a": Part(), "b": Part(UNHEALTHY, critical=False)}, "degraded"),
        ({"a": Part(DEGRADED), "b": Part(UNHEALTHY)}, "unhealthy"),
    ],
    ids=["nothing", "healthy", "degraded", "not-critical", "critical"],
)
async def test_the_whole_is_what_its_parts_are(parts: dict[str, Bus], status: HealthStatus) -> None:
    report = await checks(parts).report()
    assert report.status == status
    assert set(report.components) == {name for name, part in parts.items() if isinstance(part, Part)}


async def test_what_fails_says_why_and_nothing_secret() -> None:
    parts = {"away": Part(Unavailable("the disk is full")), "odd": Part(ValueError("password=hunter2"))}
    report = await checks(parts).report()
    assert {name: each.details for name, each in report.components.items()} == {
        "away": {"reason": "the disk is full"},
        "odd": {"reason": "ValueError"},
    }


async def test_one_that_hangs_holds_up_nobody() -> None:
    part, began = Part(), time.monotonic()
    report = await checks({"hanging": Hanging(), "fine": part}).report()
    assert time.monotonic() - began < 2
    assert report.components["hanging"].details == {"reason": "no answer within 0.2 s"}
    assert report.components["hanging"].response_time_ms >= 200
    assert report.components["fine"].status == "healthy"


async def test_many_who_ask_at_once_cost_one_question_and_the_answer_is_kept() -> None:
    part = Part()
    asked = checks({"part": part})
    await asyncio.gather(*(asked.report() for _ in range(20)))
    await asked.component("part")
    assert part.asked == 1
    again = checks({"part": part}, kept=0)
    for _ in range(3):
        await again.component("part")
    assert part.asked == 4


async def test_one_who_leaves_takes_nobody_along() -> None:
    asked = checks({"part": Part()})
    first, second = (asyncio.create_task(asked.component("part")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    component = await second
    assert component is not None
    assert component.status == "healthy"


async def test_a_change_is_told_once(told: Kept) -> None:
    part = Part()
    asked = checks({"part": part}, told, kept=0)
    for answer in (Health(), UNHEALTHY, UNHEALTHY, Health("healthy", {"size": 3})):
        part.answer = answer
        await asked.report()
    assert [(level, fields["status"]) for _, level, fields in told.events] == [
        ("warning", "unhealthy"),
        ("info", "healthy"),
    ]
    assert [value for _, _, value, _ in told.figures] == [1, 0, 0, 1]


async def test_what_could_not_start_is_unhealthy_and_what_is_not_there_is_nothing() -> None:
    asked = checks({"part": Part()}, down={"people": "the secret is too short"})
    report = await asked.report()
    assert report.status == "degraded"
    assert report.components["auth.people"].details == {"reason": "the secret is too short"}
    component = await asked.component("auth.people")
    assert component is not None
    assert component.status == "unhealthy"
    assert await asked.component("nobody") is None
