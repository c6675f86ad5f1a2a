"""Spans: which belong together, who takes them, and what is sent along to whoever is called."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest

from agentops.core.errors import NotFound, Unavailable
from agentops.core.signals import Signals
from agentops.core.trace_context import caller_of
from agentops.core.tracing import NO_SPAN, current
from tests.core.tracing_parts import CALLER, TRACE, Spans

if TYPE_CHECKING:
    from agentops.core.ports.tracing import EndedSpan


def parent(value: str = f"00-{TRACE}-{CALLER}-01") -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"traceparent", value.encode())]


@pytest.mark.parametrize("sink", [None, Spans(wants=False)], ids=["nobody-listens", "nobody-wants-them"])
def test_without_a_sink_that_wants_them_there_are_no_spans(sink: Spans | None) -> None:
    signals = Signals()
    with signals.told_to(sink or Spans(wants=False)):
        assert signals.request(parent()) is signals.span("work") is NO_SPAN
        with signals.span("work", "client", run="r") as span:
            span.describe({}, failed=True)
            span.end()
            assert current() is None
            assert signals.around() is None
            assert signals.trace_headers() == {}


def test_spans_within_others_are_one_trace() -> None:
    signals, sink = Signals(), Spans()
    with signals.told_to(sink):
        with signals.span("outer", run="r"):
            with signals.span("inner", "client") as inner:
                inner.describe({"size": 3})
            around = signals.around()
            assert around is not None
            began = time.perf_counter_ns()
            around.had("meanwhile", (began, began + 5), {"times": 2})
        with signals.span("another"):
            pass
    outer, inner_span, meanwhile = (sink.called(name) for name in ("outer", "inner", "meanwhile"))
    assert {span.trace_id for span in (outer, inner_span, meanwhile)} == {outer.trace_id}
    assert (outer.parent_id, inner_span.parent_id, meanwhile.parent_id) == (0, outer.span_id, outer.span_id)
    assert outer.began_ns <= inner_span.began_ns <= inner_span.ended_ns <= meanwhile.began_ns <= outer.ended_ns
    assert meanwhile.ended_ns - meanwhile.began_ns == 5
    assert abs(outer.began_ns - time.time_ns()) < 10**10
    assert (outer.kind, inner_span.kind) == ("internal", "client")
    assert (outer.attributes, inner_span.attributes, meanwhile.attributes) == ({"run": "r"}, {"size": 3}, {"times": 2})
    assert sink.called("another").trace_id != outer.trace_id
    assert not any(span.failed or span.is_called for span in sink.spans)
    assert len({span.span_id for span in sink.spans}) == 4


def test_a_clock_that_jumps_back_does_not_turn_a_trace_around(monkeypatch: pytest.MonkeyPatch) -> None:
    signals, sink = Signals(), Spans()
    with signals.told_to(sink), signals.span("outer"):
        now = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now - 3600 * 10**9)
        with signals.span("inner"):
            pass
    outer, inner = sink.called("outer"), sink.called("inner")
    assert outer.began_ns <= inner.began_ns <= inner.ended_ns <= outer.ended_ns


def request_span(headers: list[tuple[bytes, bytes]]) -> tuple[EndedSpan, dict[str, str]]:
    signals, sink = Signals(), Spans()
    with signals.told_to(sink), signals.request(headers) as span:
        span.describe({}, name="request")
        sent = dict(signals.trace_headers())
    return sink.called("request"), sent


@pytest.mark.parametrize(
    "value",
    [f"00-{TRACE}-{CALLER}-01", f"00-{TRACE}-{CALLER}-03", f"cc-{TRACE}-{CALLER}-01", f"cc-{TRACE}-{CALLER}-01-more"],
)
def test_a_request_goes_on_with_the_trace_of_its_caller(value: str) -> None:
    span, sent = request_span(parent(value))
    assert (f"{span.trace_id:032x}", f"{span.parent_id:016x}", span.is_called) == (TRACE, CALLER, True)
    assert sent == {"traceparent": f"00-{TRACE}-{span.span_id:016x}-01"}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        parent(""),
        parent(f"ff-{TRACE}-{CALLER}-01"),
        parent(f"00-{TRACE}-{CALLER}-01-more"),
        parent(f"00-{TRACE}-{CALLER}-1"),
        parent(f"00-{TRACE}-{CALLER}-0g"),
        parent(f"00-{TRACE.upper()}-{CALLER}-01"),
        parent(f"00-{'0' * 32}-{CALLER}-01"),
        parent(f"00-{TRACE}-{'0' * 16}-01"),
        parent(f"00-{TRACE}-{CALLER}-01\n"),
        parent(f" 00-{TRACE}-{CALLER}-01"),
        parent(f"cc-{TRACE}-{CALLER}-01more"),
        parent(f"cc-{TRACE}-{CALLER}-01-{'x' * 10_000}"),
        parent("00-" + "\N{DEVANAGARI DIGIT ONE}" * 32 + f"-{CALLER}-01"),
        parent() + parent(),
    ],
    ids=str,
)
def test_what_is_not_exactly_a_traceparent_begins_another_trace(headers: list[tuple[bytes, bytes]]) -> None:
    span, _ = request_span(headers)
    assert f"{span.trace_id:032x}" != TRACE
    assert (span.parent_id, span.is_called) == (0, False)


@pytest.mark.parametrize(
    ("states", "handed_on"),
    [
        ([b"a=1"], "a=1"),
        ([b"a=1,tenant@b=x y", b"c=2"], "a=1,tenant@b=x y,c=2"),
        ([b"a=1\r\nx: y"], ""),
        ([b"a=1\xff"], ""),
        ([b"A=1"], ""),
        ([b"a=1=2"], ""),
        ([b"a=" + b"x" * 600], ""),
        ([b",".join(b"k%d=1" % number for number in range(33))], ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_other_systems_say_of_a_trace_is_handed_on(states: list[bytes], handed_on: str) -> None:
    span, sent = request_span(parent() + [(b"tracestate", state) for state in states])
    assert span.state == handed_on
    assert sent.get("tracestate", "") == handed_on
    assert caller_of([(b"tracestate", b"a=1")]) is None


def test_a_caller_that_does_not_sample_decides_for_all() -> None:
    signals, sink = Signals(), Spans()
    with signals.told_to(sink), signals.request(parent(f"00-{TRACE}-{CALLER}-00")):
        assert signals.span("work") is NO_SPAN
        assert signals.around() is None
        sent = signals.trace_headers()["traceparent"]
        signals.event("worked")
    assert sink.spans == []
    assert sent.startswith(f"00-{TRACE}-")
    assert sent.endswith("-00")
    assert sink.only("worked") == ("info", {})


class Undecided(Spans):
    """Cannot say whether it samples."""

    def samples(self, trace_id: int) -> bool:
        raise IndexError


class Broken(Spans):
    """Cannot keep what it is told."""

    def span(self, span: EndedSpan) -> None:
        raise IndexError


def test_each_sink_samples_for_itself() -> None:
    signals, all_of_them, none, failing = Signals(), Spans(), Spans(samples=False), Undecided()
    with signals.told_to(all_of_them), signals.told_to(none), signals.told_to(failing):
        with signals.span("mine"):
            pass
        with signals.request(parent()) as span:
            span.describe({}, name="a caller's")
    assert [span.name for span in all_of_them.spans] == ["mine", "a caller's"]
    assert [span.name for span in none.spans] == ["a caller's"]
    assert [span.name for span in failing.spans] == ["a caller's"]


def test_a_sink_that_fails_costs_its_own_spans_and_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    signals, failing, other = Signals(), Broken(), Spans()
    with caplog.at_level(logging.WARNING), signals.told_to(failing), signals.told_to(other):
        for _ in range(3):
            with signals.span("work"):
                pass
    assert len(other.spans) == 3
    assert [record.message for record in caplog.records] == ["telemetry sink Broken failed and loses data: IndexError"]


@pytest.mark.parametrize(
    ("error", "kind", "failed"),
    [
        (ValueError("the password is 1234"), "ValueError", True),
        (NotFound("1234"), "not_found", False),
        (Unavailable("1234", code="overloaded"), "overloaded", True),
        (asyncio.CancelledError(), "CancelledError", False),
    ],
    ids=["unforeseen", "refused", "unable", "left"],
)
def test_what_is_raised_is_told_by_its_kind_alone(error: BaseException, kind: str, failed: bool) -> None:
    signals, sink = Signals(), Spans()
    with signals.told_to(sink), pytest.raises(type(error)), signals.span("work"):
        raise error
    assert sink.called("work").attributes == {"error.type": kind}
    assert sink.called("work").failed is failed
    assert current() is None


def test_a_span_may_end_before_its_block() -> None:
    signals, sink = Signals(), Spans()
    with signals.told_to(sink), signals.span("long") as span:
        span.end()
        span.end()
        signals.event("later")
    assert sink.only("later")[1]["trace_id"] == f"{sink.called('long').trace_id:032x}"
    assert not span.is_taken


def test_an_event_within_a_span_names_its_trace_unless_it_has_another() -> None:
    signals, sink = Signals(), Spans()
    with signals.told_to(sink), signals.span("work"):
        signals.event("told", run="r")
        signals.event("handed on", trace_id="another")
    assert sink.only("told")[1] == {"run": "r", "trace_id": f"{sink.called('work').trace_id:032x}"}
    assert sink.only("handed on")[1] == {"trace_id": "another"}
