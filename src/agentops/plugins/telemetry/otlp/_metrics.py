"""Figures in the form for the collector: what they have come to since the process began."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from agentops.figures import MILLISECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from agentops.figures import Figure, Labels

NAME_MOST: Final = 200

_SINCE_BEGIN: Final = AggregationTemporality.CUMULATIVE
_UNKNOWN: Final = cast("float", None)
"""The smallest and the largest value are not kept; the format has room for none, its Python types have not."""


def encoded_figures(
    figures: Sequence[tuple[str, Figure]], resource: Resource, scope: InstrumentationScope, began_ns: int
) -> bytes:
    """It takes some 20 µs for each set of labels: not for the event loop."""
    moment = _Moment(began_ns, max(began_ns, time.time_ns()))
    metrics = [moment.metric(name, figure) for name, figure in figures]
    data = MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, metrics, "")], "")])
    written: bytes = encode_metrics(data).SerializeToString()
    return written


def metric_name(prefix: str, name: str) -> str:
    """One that OpenTelemetry allows."""
    plain = prefix + re.sub(r"[^A-Za-z0-9_./-]", "_", name)[:NAME_MOST]
    return plain if plain[:1].isalpha() else f"figure_{plain}"


class _Moment:
    def __init__(self, began_ns: int, now_ns: int) -> None:
        self._times: dict[str, Any] = {"start_time_unix_nano": began_ns, "time_unix_nano": now_ns}

    def metric(self, name: str, figure: Figure) -> Metric:
        return Metric(name, "", _unit(name), self._data(figure))

    def _data(self, figure: Figure) -> Sum | Gauge | Histogram:
        if figure.kind == "histogram":
            spread = [self._spread(labels, values, figure.bounds) for labels, values in figure.now()]
            return Histogram(spread, _SINCE_BEGIN)
        points = [
            NumberDataPoint(_attributes(labels), value=float(values[0]), **self._times)
            for labels, values in figure.now()
        ]
        return Gauge(points) if figure.kind == "gauge" else Sum(points, _SINCE_BEGIN, is_monotonic=True)

    def _spread(self, labels: Labels, values: Sequence[float], bounds: Sequence[float]) -> HistogramDataPoint:
        counts = [int(count) for count in values[:-1]]
        return HistogramDataPoint(
            _attributes(labels),
            count=sum(counts),
            sum=values[-1],
            bucket_counts=counts,
            explicit_bounds=bounds,
            min=_UNKNOWN,
            max=_UNKNOWN,
            **self._times,
        )


def _attributes(labels: Labels) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in labels}


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _unit(name: str) -> str:
    if name.endswith(MILLISECONDS):
        return "ms"
    return "s" if name.endswith("seconds") else ""
