"""Figures for Prometheus, in its text format; whoever serves them asks for `exposition`."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from msgspec import Meta, field

from agentops.core.plugin import Settings
from agentops.core.ports.telemetry import Telemetry
from agentops.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentops.core.ports.telemetry import Level

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MILLISECONDS: Final = "_ms"
"""How a figure ends that is not in seconds."""
VALUE_MOST: Final = 120
"""Letters of a label's value; what is longer is no label."""
REST: Final = "other"

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_Labels = tuple[tuple[str, str], ...]


class PrometheusSettings(Settings):
    """`use = "prometheus"`."""

    prefix: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_]*_)?(?!\n)$")] = "agentops_"
    label_sets_most: Annotated[int, Meta(ge=1)] = 1_000
    """Of one figure; what comes beyond is counted under `other`, so that nobody fills the memory with names."""
    buckets: list[Annotated[float, Meta(gt=0)]] = field(default_factory=lambda: [*BUCKETS])
    """Seconds up to which durations are told apart."""


class Prometheus(Telemetry[PrometheusSettings]):
    """Keeps what it is told until somebody asks."""

    def __init__(self, settings: PrometheusSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        self._figures: dict[str, _Figure] = {}

    def check(self) -> Iterable[Problem]:
        if sorted(set(self.settings.buckets)) != self.settings.buckets or not self.settings.buckets:
            yield Problem(
                "buckets",
                "the buckets do not grow",
                "a duration would be counted in a bucket that it does not fit",
                "write each once, the smallest first",
            )

    def event(self, name: str, level: Level, fields: dict[str, object]) -> None:
        """Only how many of each level there are: what they say is for a log."""
        self._figure("events", "counter").add(_labels({"name": name, "level": level}), 1)

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        self._figure(name, "counter").add(_labels(labels), amount)

    def observe(self, name: str, value: float, labels: dict[str, str]) -> None:
        self._figure(name, "histogram").add(_labels(labels), value)

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        self._figure(name, "gauge").add(_labels(labels), value)

    def exposition(self) -> tuple[bytes, str]:
        """Everything that was told, and the media type it is written in."""
        lines = (line for name, figure in sorted(self._figures.items()) for line in figure.lines(name))
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"), MEDIA_TYPE

    def _figure(self, name: str, kind: str) -> _Figure:
        """A name that was told as one kind before is another figure as another."""
        written = _written(self.settings.prefix, name, kind)
        figure = self._figures.get(written)
        if figure is not None and figure.kind != kind:
            written = f"{written}_{kind}"
            figure = self._figures.get(written)
        if figure is None:
            made: Any = {"counter": _Counter, "gauge": _Gauge, "histogram": _Histogram}[kind]
            scale = 1000 if written.endswith(MILLISECONDS) else 1
            bounds = [bound * scale for bound in self.settings.buckets]
            figure = self._figures[written] = made(self.settings.label_sets_most, bounds)
        return figure


class _Figure(ABC):
    """One name, and what was told for each set of labels."""

    kind: ClassVar[str]

    def __init__(self, most: int, bounds: Sequence[float]) -> None:
        self._most = most
        self._bounds = bounds
        self._values: dict[_Labels, list[float]] = {}

    def add(self, labels: _Labels, value: float) -> None:
        values = self._values.get(labels)
        if values is None:
            if len(self._values) >= self._most:
                labels = tuple((name, REST) for name, _ in labels)
            values = self._values.setdefault(labels, [0.0] * self._width())
        self._put(values, value)

    def lines(self, name: str) -> Iterator[str]:
        yield f"# TYPE {name} {self.kind}"
        for labels, values in self._values.items():
            yield from self._samples(name, labels, values)

    def _width(self) -> int:
        return 1

    @abstractmethod
    def _put(self, values: list[float], value: float) -> None: ...

    def _samples(self, name: str, labels: _Labels, values: list[float]) -> Iterator[str]:
        yield f"{name}{_braced(labels)} {_number(values[0])}"


class _Counter(_Figure):
    kind = "counter"

    def _put(self, values: list[float], value: float) -> None:
        """A counter never falls; what is no number would make it one for ever."""
        if 0 <= value < math.inf:
            values[0] += value


class _Gauge(_Figure):
    kind = "gauge"

    def _put(self, values: list[float], value: float) -> None:
        values[0] = value


class _Histogram(_Figure):
    """How many fell into each bucket, then those beyond all, then the sum."""

    kind = "histogram"

    def _width(self) -> int:
        return len(self._bounds) + 2

    def _put(self, values: list[float], value: float) -> None:
        if math.isfinite(value):
            values[bisect_left(self._bounds, value)] += 1
            values[-1] += value

    def _samples(self, name: str, labels: _Labels, values: list[float]) -> Iterator[str]:
        total = 0.0
        for bound, count in zip([*self._bounds, math.inf], values[:-1], strict=True):
            total += count
            yield f"{name}_bucket{_braced((*labels, ('le', _number(bound))))} {_number(total)}"
        yield f"{name}_sum{_braced(labels)} {_number(values[-1])}"
        yield f"{name}_count{_braced(labels)} {_number(total)}"


@lru_cache(maxsize=4096)
def _written(prefix: str, name: str, kind: str) -> str:
    plain = prefix + re.sub(r"[^a-zA-Z0-9_]", "_", name)
    if plain[:1].isdigit() or not plain:
        plain = f"_{plain}"
    return f"{plain}_total" if kind == "counter" else plain


def _labels(labels: dict[str, str]) -> _Labels:
    return tuple(sorted(labels.items()))


def _braced(labels: _Labels) -> str:
    written = {_label(name): _value(value) for name, value in labels}
    return "{" + ",".join(f'{name}="{value}"' for name, value in written.items()) + "}" if written else ""


def _label(name: str) -> str:
    plain = re.sub(r"[^a-zA-Z0-9_]", "_", name).lstrip("_") or "label"
    return f"label_{plain}" if plain[0].isdigit() else plain


def _value(value: str) -> str:
    text = str(value)
    if len(text) > VALUE_MOST:
        return REST
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(int(value)) if value == int(value) else repr(value)
