"""What Prometheus reads: every figure that was told, whatever it is called, and no more than fits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agentops import figures
from agentops.figures import REST
from agentops.plugins.telemetry.prometheus import Prometheus
from agentops.testing.telemetry import TelemetryContract

if TYPE_CHECKING:
    from collections.abc import Callable

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class TestPrometheus(TelemetryContract):
    @pytest.fixture
    def sinks(self) -> list[Prometheus]:
        return []

    @pytest.fixture
    def make_telemetry(self, sinks: list[Prometheus]) -> Callable[[], Prometheus]:
        def make() -> Prometheus:
            sinks.append(Prometheus())
            return sinks[-1]

        return make

    @pytest.fixture
    def written(self, sinks: list[Prometheus]) -> Callable[[], str]:
        return lambda: "".join(sink.exposition()[0].decode() for sink in sinks)


def read(sink: Prometheus) -> Samples:
    """As Prometheus' own reader takes it; each sample is there once."""
    text, media_type = sink.exposition()
    assert media_type.startswith("text/plain; version=0.0.4")
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def key(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_counters_add_up_by_their_labels() -> None:
    sink = Prometheus()
    for labels in ({"lane": "a", "by": "x"}, {"by": "x", "lane": "a"}, {"lane": "b"}, {}):
        sink.count("limits.refused", 2, labels)
    sink.count("limits.refused", -1, {})
    sink.count("limits.refused", math.inf, {})
    sink.count("limits.refused", math.nan, {})
    assert read(sink) == {
        key("agentops_limits_refused_total", lane="a", by="x"): 4,
        key("agentops_limits_refused_total", lane="b"): 2,
        key("agentops_limits_refused_total"): 2,
    }


def test_gauges_hold_what_was_told_last() -> None:
    sink = Prometheus(prefix="")
    for value in (1.0, 0.25, -3.0):
        sink.gauge("streams.open", value, {})
    assert read(sink) == {key("streams_open"): -3}


def test_durations_fall_into_buckets() -> None:
    sink = Prometheus(buckets=[0.1, 1])
    for value in (0.05, 0.1, 0.11, 1.0, 7.0, math.nan):
        sink.observe("request.seconds", value, {"lane": "a"})
    name = "agentops_request_seconds"
    found = read(sink)
    assert [found[key(f"{name}_bucket", lane="a", le=bound)] for bound in ("0.1", "1", "+Inf")] == [2, 4, 5]
    assert found[key(f"{name}_count", lane="a")] == 5
    assert found[key(f"{name}_sum", lane="a")] == pytest.approx(8.26)


def test_figures_in_milliseconds_have_buckets_in_milliseconds() -> None:
    sink = Prometheus(buckets=[0.1])
    sink.observe("llm.retry.delay_ms", 99, {})
    assert read(sink)[key("agentops_llm_retry_delay_ms_bucket", le="100")] == 1


def test_events_are_counted_by_level() -> None:
    sink = Prometheus()
    for _ in range(2):
        sink.event("lane.open", "warning", {"secret": "none of this"})
    assert read(sink) == {key("agentops_events_total", name="lane.open", level="warning"): 2}


@pytest.mark.parametrize(
    "text", ['"', "\\", "\n", "\\n", 'a"} 1\nevil 2', "\r", "ü", "\ud800", "\0", "", "{}", " "], ids=ascii
)
def test_no_name_and_no_label_breaks_the_format(text: str) -> None:
    sink = Prometheus()
    sink.count(text, 1, {"value": text, text: "1"})
    sink.observe(text, 1, {text: text})
    sink.gauge(f"9{text}", 1, {f"9{text}": "1", "le": "1", "__name__": "x"})
    names = {name for name, _ in read(sink)}
    assert all(name.startswith("agentops_") for name in names)


def test_a_value_comes_back_as_it_was() -> None:
    sink = Prometheus()
    sink.count("x", 1, {"value": 'a\\n"b"\n\\'})
    assert key("agentops_x_total", value='a\\n"b"\n\\') in read(sink)


def test_what_is_too_much_is_counted_together() -> None:
    sink = Prometheus(label_sets_most=3)
    for number in range(10):
        sink.count("asked", 1, {"who": str(number)})
    sink.count("asked", 1, {"who": "2"})
    sink.count("long", 1, {"who": "x" * 1000})
    found = read(sink)
    assert found[key("agentops_asked_total", who="2")] == 2
    assert found[key("agentops_asked_total", who=REST)] == 7
    assert found[key("agentops_long_total", who=REST)] == 1


def test_one_name_told_as_two_kinds_is_two_figures() -> None:
    sink = Prometheus()
    for _ in range(2):
        sink.gauge("x", 1, {})
        sink.observe("x", 1, {})
    found = read(sink)
    assert found[key("agentops_x")] == 1
    assert found[key("agentops_x_histogram_count")] == 2


def test_too_many_names_are_counted_together_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "FIGURES_MOST", 2)
    sink = Prometheus()
    for number in range(5):
        sink.count(f"name{number}", 1, {})
        sink.gauge(f"level{number}", number, {})
    assert read(sink) == {
        key("agentops_name0_total"): 1,
        key("agentops_level0"): 0,
        key("agentops_other_counter_total"): 4,
        key("agentops_other_gauge"): 4,
    }


def test_what_is_not_remembered_is_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "REMEMBERED_MOST", 1)
    sink = Prometheus(buckets=[1])
    for _ in range(2):
        for who in "ab":
            sink.count("asked", 1, {"who": who})
            sink.gauge("level", 3, {"who": who})
            sink.observe("seconds", 2, {"who": who})
    found = read(sink)
    for who in "ab":
        assert found[key("agentops_asked_total", who=who)] == 2
        assert found[key("agentops_level", who=who)] == 3
        assert found[key("agentops_seconds_sum", who=who)] == 4
    assert len(sink._counters) == len(sink._gauges) == len(sink._histograms) == 1


@pytest.mark.parametrize("buckets", [[], [1, 1], [2, 1]], ids=str)
def test_buckets_that_do_not_grow_are_a_problem(buckets: list[float]) -> None:
    (problem,) = Prometheus(buckets=buckets).check()
    assert problem.key == "buckets"
