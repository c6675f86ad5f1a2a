"""What an agent is sent over a real socket, read as DogStatsD's protocol says; and one that is not there."""

from __future__ import annotations

import asyncio
import math
import re
import socket
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.resolving import Resolver
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.core.serving import SERVED
from agentops.core.signals import Signals
from agentops.figures import REST
from agentops.plugins.telemetry import dogstatsd
from agentops.plugins.telemetry.dogstatsd import DogStatsD
from agentops.testing.telemetry import LEVELS, TelemetryContract
from tests.core.parts import Kept, until
from tests.core.tracing_parts import Spans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

METRIC = re.compile(r"(?P<name>[a-zA-Z][\w.]*):(?P<value>-?[0-9.e+-]+)\|(?P<kind>[cgdh])(?:\|#(?P<tags>[!-~]+))?")


class Agent:
    """Listens, and reads what there is when it is asked."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._datagrams: list[bytes] = []

    def close(self) -> None:
        self._socket.close()

    @property
    def datagrams(self) -> list[bytes]:
        """All there have been until now: over the loopback they are there as soon as they are sent."""
        while True:
            try:
                self._datagrams.append(self._socket.recv(65_536))
            except BlockingIOError:
                return self._datagrams

    @property
    def lines(self) -> list[str]:
        return b"\n".join(self.datagrams).decode().splitlines()

    def metrics(self) -> list[tuple[str, float, str, list[str]]]:
        """Of each line the name, the value, the kind and the tags; every line is one."""
        found: list[tuple[str, float, str, list[str]]] = []
        for line in self.lines:
            match = METRIC.fullmatch(line)
            assert match is not None, line
            found.append((match["name"], float(match["value"]), match["kind"], (match["tags"] or "").split(",")))
        return found


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent()
    try:
        yield agent
    finally:
        agent.close()


class TestDogStatsD(TelemetryContract):
    @pytest.fixture
    def make_telemetry(self, agent: Agent) -> Callable[[], DogStatsD]:
        return lambda: DogStatsD(port=agent.port, events="warning")

    @pytest.fixture
    def written(self, agent: Agent) -> Callable[[], str]:
        return lambda: "\n".join(agent.lines)


def told(sink: DogStatsD) -> tuple[Rungs, Kept]:
    signals, kept = Signals(), Kept()
    signals._sinks += [sink, kept]
    return Rungs(signals=signals), kept


async def test_figures_are_sent_as_they_are_told(agent: Agent) -> None:
    sink = DogStatsD(port=agent.port, tags=["env:test", "alone"])
    async with sink.life(Rungs()):
        sink.count("limits.refused", 2, {"lane": "a", "by": "x"})
        sink.observe("request.seconds", 0.25, {})
        sink.gauge("streams-open", -3, {})
        sink.event("lane.open", "warning", {"secret": "none of this"})
        for wrong in (-1, math.inf, math.nan):
            sink.count("wrong", wrong, {})
        for wrong in (math.inf, math.nan):
            sink.gauge("wrong", wrong, {})
            sink.observe("wrong", wrong, {})
    assert agent.metrics() == [
        ("agentops.limits.refused", 2, "c", ["env:test", "alone", "lane:a", "by:x"]),
        ("agentops.request.seconds", 0.25, "d", ["env:test", "alone"]),
        ("agentops.streams_open", -3, "g", ["env:test", "alone"]),
        ("agentops.events", 1, "c", ["env:test", "alone", "name:lane.open", "level:warning"]),
    ]
    assert len(agent.datagrams) == 1


@pytest.mark.parametrize("amount", [0, 1, 0.1, 1 / 3, 2**53, 1e300, 1e-9])
async def test_amounts_arrive_as_they_were(agent: Agent, amount: float) -> None:
    sink = DogStatsD(port=agent.port, prefix="", observations="histogram")
    async with sink.life(Rungs()):
        sink.observe("x", amount, {})
    ((name, value, kind, tags),) = agent.metrics()
    assert (name, kind, tags) == ("x", "h", [""])
    assert value == pytest.approx(amount, rel=1e-14)


@pytest.mark.parametrize(
    "text",
    ["|", "#", ",", ":", "\n", "\r\n", "a|c\nevil:1|c", "ü", "\ud800", "\0", "", " ", "x" * 1000, "|#a:b", "@0.1"],
    ids=lambda text: ascii(text)[:20],
)
async def test_no_name_and_no_label_breaks_the_format(agent: Agent, text: str) -> None:
    sink = DogStatsD(port=agent.port)
    async with sink.life(Rungs()):
        sink.count(text, 1, {"value": text, text: "1"})
        sink.gauge(f"9{text}", 1, {f"9{text}": text})
        sink.event(text, "info", {})
    metrics = agent.metrics()
    assert len(metrics) == 3
    assert all(name.startswith("agentops.") and len(name) <= 209 for name, _, _, _ in metrics)
    assert [len(tags) for _, _, _, tags in metrics] == [2, 1, 2]
    assert all(tag.count(":") == 1 for _, _, _, tags in metrics for tag in tags)
    if len(text) == 1000:
        assert metrics[0][3][0] == f"value:{REST}"


async def test_a_name_begins_with_a_letter_even_without_a_prefix(agent: Agent) -> None:
    sink = DogStatsD(port=agent.port, prefix="")
    async with sink.life(Rungs()):
        sink.count("9", 1, {})
        sink.count("", 1, {})
    assert [name for name, _, _, _ in agent.metrics()] == ["figure.9", "figure."]


async def test_many_lines_share_a_datagram_up_to_its_size(agent: Agent) -> None:
    sink = DogStatsD(port=agent.port, packet_bytes=512)
    async with sink.life(Rungs()):
        for number in range(100):
            sink.count("things", number, {"run": "r"})
    assert [value for _, value, _, _ in agent.metrics()] == list(range(100))
    assert all(len(datagram) <= 512 for datagram in agent.datagrams)
    assert all(len(datagram) > 450 for datagram in agent.datagrams[:-1])


async def test_a_line_waits_for_others_for_a_moment_only(agent: Agent) -> None:
    at_once = DogStatsD(port=agent.port, wait_seconds=0)
    async with at_once.life(Rungs()):
        at_once.count("a", 1, {})
        at_once.count("b", 1, {})
        assert agent.datagrams == []
        await until(lambda: agent.datagrams)
        assert len(agent.lines) == 2


def test_without_a_loop_nothing_waits(agent: Agent) -> None:
    sink = DogStatsD(port=agent.port)

    async def live() -> None:
        async with sink.life(Rungs()):
            await asyncio.to_thread(sink.count, "from.a.thread", 1, {})
            assert agent.lines == ["agentops.from.a.thread:1|c"]

    asyncio.run(live())


async def test_what_does_not_fit_is_left_out_and_told_of(agent: Agent) -> None:
    sink = DogStatsD(port=agent.port, packet_bytes=512)
    rungs, kept = told(sink)
    async with sink.life(rungs):
        sink.count("wide", 1, {f"label{number}": "x" * 100 for number in range(9)})
        sink.count("narrow", 1, {})
    assert [name for name, _, _, _ in agent.metrics()] == ["agentops.events", "agentops.narrow"]
    assert kept.only("dogstatsd.failing")[1]["reason"] == "a line does not fit into a datagram"


@pytest.mark.parametrize(("down_to", "levels"), [("none", ""), ("error", "e"), ("warning", "we")])
async def test_events_are_sent_down_to_a_level(agent: Agent, down_to: Any, levels: str) -> None:
    sink = DogStatsD(port=agent.port, events=down_to, tags=["env:test"])
    async with sink.life(Rungs()):
        for level in LEVELS:
            sink.event("it.happened", level, {"run": "r"})
    events = [line for line in agent.lines if line.startswith("_e")]
    assert events == [
        f"_e{{11,6}}:it.happened|run: r|t:{level}|#env:test" for level in ("warning", "error") if level[0] in levels
    ]


async def test_an_event_is_read_by_its_lengths_whatever_is_in_it(agent: Agent) -> None:
    sink = DogStatsD(port=agent.port, events="error")
    fields = {
        "text": "a|b\r\nc\n|#x:y", "error": ValueError("the password is 1234"), "key": Secret("1234"), "n": 3,
        "turtle": "żółw \ud800", "nested": [1], "nothing": "",
    }  # fmt: skip
    async with sink.life(Rungs()):
        sink.event("ż|\n", "error", fields)
        sink.event("", "error", {"long": "ż" * 10_000})
    first, second = (line for line in agent.lines if line.startswith("_e"))
    for line in (first, second):
        match = re.match(r"_e\{(\d+),(\d+)\}:", line)
        assert match is not None
        rest = line[match.end() :].encode()
        title, text = int(match[1]), int(match[2])
        assert rest[title : title + 1] == b"|"
        assert rest[title + 1 + text :] == b"|t:error"
    assert "1234" not in first
    assert r"text: a b\nc\n #x:y\nerror: ValueError\nn: 3\nturtle: żółw ?" in first
    assert second.startswith("_e{5,")


@asynccontextmanager
async def told_of_in_a_trace(signals: Signals) -> AsyncIterator[None]:
    with signals.told_to(Spans()), signals.span("a request"):
        yield


async def test_a_port_that_nobody_listens_on_costs_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent()
    sink = DogStatsD(port=agent.port, wait_seconds=0)
    agent.close()
    rungs, kept = told(sink)
    async with sink.life(rungs), told_of_in_a_trace(rungs.signals):
        for _ in range(20):
            sink.count("things", 1, {})
            await asyncio.sleep(0.002)
        level, fields = kept.only("dogstatsd.failing")
        assert "trace_id" not in fields
        assert (level, fields["reason"], fields["agent"]) == (
            "warning", "ConnectionRefusedError", f"127.0.0.1:{agent.port}",
        )  # fmt: skip
        assert kept.named("dogstatsd.works_again") == []
        listening = Agent.__new__(Agent)
        listening._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening._socket.bind(("127.0.0.1", agent.port))
        monkeypatch.setattr(dogstatsd, "QUIET_SECONDS", 0)

        def works_again() -> list[dict[str, object]]:
            sink.count("things", 1, {})
            return kept.named("dogstatsd.works_again")

        await until(works_again)
        listening.close()
    assert len(kept.named("dogstatsd.failing")) == 1


async def test_what_is_told_of_a_full_datagram_is_not_told_of_the_request_that_fills_it() -> None:
    agent = Agent()
    sink = DogStatsD(port=agent.port, wait_seconds=10, packet_bytes=512)
    agent.close()
    rungs, kept = told(sink)
    async with sink.life(rungs), told_of_in_a_trace(rungs.signals):
        token = SERVED.set({"request_id": "mine"})
        for number in range(100):
            sink.count(f"things.{number}", 1, {})
        SERVED.reset(token)
        _, fields = kept.only("dogstatsd.failing")
    assert fields.keys() == {"agent", "reason", "meaning"}


async def test_a_full_buffer_costs_what_does_not_fit(agent: Agent) -> None:
    """The loopback's cannot be filled, that of a pair can."""
    sink = DogStatsD(port=agent.port, wait_seconds=0)
    rungs, kept = told(sink)
    full, unread = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    full.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            full.send(b"x" * 1000)
    async with sink.life(rungs):
        assert sink._datagrams._socket is not None
        sink._datagrams._socket.close()
        sink._datagrams._socket = full
        sink.count("things", 1, {})
        await until(lambda: kept.named("dogstatsd.failing"))
    unread.close()
    assert kept.only("dogstatsd.failing")[1]["reason"] == "BlockingIOError"


async def test_an_agent_that_cannot_be_found_costs_no_start() -> None:
    sink = DogStatsD(host="nobody.invalid")
    rungs, kept = told(sink)
    async with asyncio.timeout(5):
        async with sink.life(rungs):
            sink.count("things", 1, {})
            await until(lambda: kept.named("dogstatsd.failing"))
    assert str(kept.only("dogstatsd.failing")[1]["reason"]).startswith("nobody.invalid cannot be found: ")


async def test_an_agent_that_moves_is_followed(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dogstatsd, "REMEMBERED_SECONDS", 0)
    other, sink = Agent(), DogStatsD(port=agent.port, wait_seconds=0)
    ports = deque([agent.port, agent.port, other.port])

    async def addresses(_self: object) -> list[object]:
        return [(socket.AF_INET, ("127.0.0.1", ports.popleft() if len(ports) > 1 else ports[0]))]

    monkeypatch.setattr(Resolver, "addresses", addresses)
    async with sink.life(Rungs()):
        await until(lambda: len(ports) == 1)
        await asyncio.sleep(0)
        sink.count("things", 1, {})
        await until(lambda: other.datagrams)
    assert agent.datagrams == []
    other.close()


@pytest.mark.parametrize(
    "tag", ["", "a b", "a|b", "a,b", "a#b", "a\n", "1a", "ż", "x" * 201], ids=lambda tag: ascii(tag)[:20]
)
def test_a_tag_that_is_none_is_a_problem(tag: str) -> None:
    (problem,) = DogStatsD(tags=["env:test", tag]).check()
    assert problem.key == "tags[1]"
