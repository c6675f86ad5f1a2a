"""What happens is told to every sink, for as long as it listens."""

from __future__ import annotations

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
