"""The contract of a telemetry sink, as tests: what `core/ports/telemetry.py` promises, and `tracing.py` beside it.

    class TestMine(TelemetryContract):
        @pytest.fixture
        def make_telemetry(self, collector):
            return lambda: Mine(url=collector.url)

        @pytest.fixture
        def written(self, collector):
            return lambda: collector.received_text()

`make_telemetry` gives a function that makes sinks, not yet started. `written` gives one that returns, once the sink
has stopped, all that it wrote; by default what came to standard output and standard error.
The tests are coroutines: run them with pytest-asyncio.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

import msgspec
import pytest

from agentops.core.ports.telemetry import Level, Telemetry
from agentops.core.ports.tracing import EndedSpan, SpanKind, SpanValue, Traces
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret

AnyTelemetry: TypeAlias = Telemetry[Any]
MakeTelemetry: TypeAlias = Callable[[], AnyTelemetry]
Written: TypeAlias = Callable[[], str]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)

VALUES: Final[dict[str, object]] = {
    "none": None,
    "big-number": 2**64,
    "not-a-number": float("nan"),
    "infinite": float("-inf"),
    "bytes": b"\xff\x00",
    "line-breaks": "a\r\nb\n\nc\u2028",
    "control": "\x1b[31m\x00\x07",
    "lone-surrogate": "\ud800",
    "format": "%s %(x)d {} {0.x}",
    "long": "x" * 100_000,
    "nested": {"list": [1, {"deep": (2, {3})}], "odd-key": {4: 5}},
    "time": datetime(2026, 1, 1, tzinfo=UTC),
    "path": Path("/tmp"),  # noqa: S108 - it is only told
    "type": Path,
    "function": len,
    "object": object(),
    "exception": ValueError("never raised"),
}

NAMES: Final = [
    *("event", "level", "name", "self", "logger", "logger_name", "method_name", "timestamp", "time", "message", "msg"),
    *("error", "exception", "exc_info", "stack", "stack_info", "fields", "labels", "args", "kwargs", "_record"),
    *("", "with space", "with.dot", "żółw", "line\nbreak", "9"),
]

LABELS: Final[dict[str, dict[str, str]]] = {
    "none": {},
    "one": {"route": "/runs/{run_id}"},
    "other": {"status": "200"},
    "both": {"status": "200", "route": "/"},
    "unicode": {"route": "żółw 🐢"},
    "quotes": {"route": "\"\\\n'"},
    "empty": {"route": ""},
    "odd-name": {"with space": "x", "with.dot": "y", "le": "z", "__name__": "w"},
    "lone-surrogate": {"route": "\ud800"},
}


SPAN_VALUES: Final[dict[str, SpanValue]] = {
    "text": "text",
    "number": 7,
    "share": 0.5,
    "truth": True,
    "big-number": 2**64,
    "not-a-number": float("nan"),
    "lone-surrogate": "\ud800",
    "long": "x" * 100_000,
}


class Holder(msgspec.Struct):
    secret: Secret


@dataclass
class Record:
    secret: Secret


def fail_with(revealed: str) -> None:
    raise RuntimeError(f"failed with {len(revealed)} letters")


def failure_in_a_frame_with(secret: Secret) -> Exception:
    """An exception that was raised where a variable held the secret in clear."""
    try:
        fail_with(secret.reveal())
    except RuntimeError as error:
        return error
    raise AssertionError("it fails each time")


def failure_because_of(secret: Secret) -> Exception:
    cause = failure_in_a_frame_with(secret)
    failure = ValueError("it failed")
    failure.__cause__ = cause
    return failure


HOLDERS: Final[dict[str, Callable[[Secret], object]]] = {
    "alone": lambda secret: secret,
    "in-a-list": lambda secret: [secret],
    "in-a-dictionary": lambda secret: {"key": secret},
    "in-a-tuple-in-a-dictionary": lambda secret: {"key": (secret,)},
    "in-a-struct": Holder,
    "in-a-dataclass": Record,
    "in-an-exception": RuntimeError,
    "in-the-frames-of-an-exception": failure_in_a_frame_with,
    "in-the-cause-of-an-exception": failure_because_of,
}


class TelemetryContract:
    """Subclass, give `make_telemetry`, and `written` where the default is not right; run pytest."""

    @pytest.fixture
    def make_telemetry(self) -> MakeTelemetry:
        raise NotImplementedError("give a fixture `make_telemetry`: a function that makes sinks")

    @pytest.fixture
    def written(self, capfd: pytest.CaptureFixture[str]) -> Written:
        return lambda: "".join(capfd.readouterr())

    async def test_what_it_is_told_arrives(self, make_telemetry: MakeTelemetry, written: Written) -> None:
        sink = make_telemetry()
        async with sink.life(Rungs()):
            sink.event("witness", "error", {"run": "r"})
            sink.count("witness", 1, {"run": "r"})
            sink.observe("witness", 0.5, {"run": "r"})
            sink.gauge("witness", 3, {"run": "r"})
        assert "witness" in written()

    @pytest.mark.parametrize("level", LEVELS)
    async def test_every_level_is_taken(self, make_telemetry: MakeTelemetry, written: Written, level: Level) -> None:
        sink = make_telemetry()
        async with sink.life(Rungs()):
            sink.event("contract", level, {"run": "r"})

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    async def test_every_value_is_taken(self, make_telemetry: MakeTelemetry, written: Written, value: object) -> None:
        sink = make_telemetry()
        async with sink.life(Rungs()):
            for level in LEVELS:
                sink.event("contract", level, {"value": value, "error": value, "in": [value]})

    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    async def test_a_field_may_have_any_name(self, make_telemetry: MakeTelemetry, written: Written, name: str) -> None:
        sink = make_telemetry()
        async with sink.life(Rungs()):
            for value in ("text", 7, None, ValueError("never raised")):
                sink.event("contract", "error", {name: value})

    @pytest.mark.parametrize("name", ["", "a.b.c", "żółw", "line\nbreak", "%s {}", "\ud800"], ids=ascii)
    async def test_an_event_may_have_any_name(self, make_telemetry: MakeTelemetry, written: Written, name: str) -> None:
        sink = make_telemetry()
        async with sink.life(Rungs()):
            sink.event(name, "error", {})

    async def test_figures_take_all_labels_under_one_name(
        self, make_telemetry: MakeTelemetry, written: Written
    ) -> None:
        sink = make_telemetry()
        async with sink.life(Rungs()):
            for labels in LABELS.values():
                sink.count("contract.things", 1, labels)
                sink.observe("contract.seconds", 0.25, labels)
                sink.gauge("contract.level", 1, labels)

    @pytest.mark.parametrize("amount", [0, 1, 0.25, 2**53, 1e300])
    async def test_figures_take_every_amount(
        self, make_telemetry: MakeTelemetry, written: Written, amount: float
    ) -> None:
        sink = make_telemetry()
        async with sink.life(Rungs()):
            sink.count("contract.things", amount, {})
            sink.observe("contract.seconds", amount, {})
            sink.gauge("contract.level", amount, {})
            sink.gauge("contract.level", -amount, {})

    @pytest.mark.parametrize("value", SPAN_VALUES.values(), ids=SPAN_VALUES)
    async def test_spans_are_taken_by_whoever_wants_any(
        self, make_telemetry: MakeTelemetry, written: Written, value: SpanValue
    ) -> None:
        sink = make_telemetry()
        async with sink.life(Rungs()):
            traces = isinstance(sink, Traces) and sink.wants_spans
            if isinstance(sink, Traces) and traces:
                assert sink.samples(2**128 - 1) in {True, False}
                for number, kind in enumerate(get_args(SpanKind), 1):
                    ended = EndedSpan(
                        trace_id=2**128 - 1,
                        span_id=number,
                        parent_id=number - 1,
                        is_called=kind == "server",
                        state="",
                        name="witness" if kind == "server" else str(value),
                        kind=kind,
                        began_ns=time.time_ns(),
                        ended_ns=time.time_ns(),
                        attributes=dict.fromkeys(NAMES, value),
                        failed=number > 1,
                    )
                    sink.span(ended)
        assert not traces or "witness" in written()

    async def test_what_it_is_handed_stays_as_it_is(self, make_telemetry: MakeTelemetry, written: Written) -> None:
        sink = make_telemetry()
        error = ValueError("never raised")
        fields: dict[str, object] = {"run": "r", "error": error, "level": "x", "list": [1]}
        labels = {"run": "r", "level": "x"}
        async with sink.life(Rungs()):
            sink.event("contract", "error", fields)
            sink.count("contract.things", 1, labels)
            sink.observe("contract.seconds", 1, labels)
            sink.gauge("contract.level", 1, labels)
        assert fields == {"run": "r", "error": error, "level": "x", "list": [1]}
        assert labels == {"run": "r", "level": "x"}

    @pytest.mark.parametrize("field", ["value", "error", "exc_info", "exception"])
    @pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
    async def test_no_secret_is_written(
        self, make_telemetry: MakeTelemetry, written: Written, hold: Callable[[Secret], object], field: str
    ) -> None:
        sink = make_telemetry()
        value = secrets.token_hex(16)
        async with sink.life(Rungs()):
            for level in LEVELS:
                sink.event("contract", level, {field: hold(Secret(value))})
        assert value not in written()

    async def test_many_calls_in_a_row_block_nobody(self, make_telemetry: MakeTelemetry, written: Written) -> None:
        """Ten milliseconds for a round of four is much too long, and far from what one costs that does not wait."""
        sink = make_telemetry()
        rounds = 1_000
        async with sink.life(Rungs()):
            began = time.perf_counter()
            for number in range(rounds):
                sink.event("contract", "error", {"number": number})
                sink.count("contract.things", 1, {"parity": str(number % 2)})
                sink.observe("contract.seconds", number, {"parity": str(number % 2)})
                sink.gauge("contract.level", number, {})
            took = time.perf_counter() - began
        assert took / rounds < 0.01

    async def test_it_may_stop_and_start_again(self, make_telemetry: MakeTelemetry, written: Written) -> None:
        sink = make_telemetry()
        for name in ("first", "second"):
            async with sink.life(Rungs()):
                sink.event(name, "error", {})
                sink.count(name, 1, {})
                sink.gauge(name, 1, {})
            assert name in written()
