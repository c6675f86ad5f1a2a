"""What happens is told to every sink, for as long as it listens."""

from __future__ import annotations

import pytest

from agentops.core.signals import Signals
from tests.core.parts import Kept


def test_every_sink_hears_everything_while_it_listens() -> None:
    signals, first, second = Signals(), Kept(), Kept()
    with signals.told_to(first):
        with signals.told_to(second):
            signals.event("started", port=1)
            signals.count("requests", route="/runs")
            signals.observe("seconds", 0.5, route="/runs")
            signals.gauge("streams", 7)
        signals.event("stopped", "warning")
    signals.event("unheard")
    figures = [
        ("count", "requests", 1, {"route": "/runs"}),
        ("observe", "seconds", 0.5, {"route": "/runs"}),
        ("gauge", "streams", 7, {}),
    ]
    assert first.figures == second.figures == figures
    assert second.events == [("started", "info", {"port": 1})]
    assert first.events == [*second.events, ("stopped", "warning", {})]


class Broken(Kept):
    """Fails at whatever it is told."""

    def event(self, name: str, level: str, fields: dict[str, object]) -> None:
        raise OSError

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        raise OSError

    def observe(self, name: str, value: float, labels: dict[str, str]) -> None:
        raise OSError

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        raise OSError


@pytest.mark.parametrize("kind", ["event", "count", "observe", "gauge"])
def test_a_sink_that_fails_costs_its_own_data_and_one_warning(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    signals, kept = Signals(), Kept()
    with signals.told_to(Broken()), signals.told_to(kept):
        for _ in range(3):
            getattr(signals, kind)("told", *(["info"] if kind == "event" else [1]))
    assert len(kept.events) + len(kept.figures) == 3
    assert [record.message for record in caplog.records] == ["telemetry sink Broken failed and loses data: OSError"]
