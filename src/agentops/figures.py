"""Figures added up in this process, for telemetry sinks that hand on what they have come to.

Bounded, whatever is told and whoever named it. They are added to on the event loop; another thread may read them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from bisect import bisect_left
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, field
from typing_extensions import TypeVar

from agentops.core.plugin import Settings
from agentops.core.ports.telemetry import Telemetry
from agentops.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentops.core.ports.telemetry import Level

FIGURES_MOST: Final = 1_000
REMEMBERED_MOST: Final = 10_000
"""Sets of labels, of all figures of a kind, that are known as they are told; those beyond are sorted each time."""
VALUE_MOST: Final = 120
"""Letters of a label's value; what is longer is no label."""
REST: Final = "other"
"""What is too much is counted together, under this."""
MILLISECONDS: Final = "_ms"
"""How a figure ends that is not in seconds."""

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

FigureKind = Literal["counter", "histogram", "gauge"]
Labels = tuple[tuple[str, str], ...]


class FigureSettings(Settings):
    """What every sink lets say that keeps figures."""

    label_sets_most: Annotated[int, Meta(ge=1)] = 1_000
    """Of one figure; what comes beyond is counted under `other`, so that nobody fills the memory with names."""
    buckets: list[Annotated[float, Meta(gt=0)]] = field(default_factory=lambda: [*BUCKETS])
    """Seconds up to which durations are told apart."""


class Figure:
    """One name, and what was told for each set of labels: a value, or of a histogram how many fell into each bucket,
    then those beyond all, then the sum.
    """

    def __init__(self, kind: FigureKind, most: int, bounds: Sequence[float]) -> None:
        self.kind: FigureKind = kind
        self.bounds = bounds
        self._most = most
        self._values: dict[Labels, list[float]] = {}

    def values_of(self, labels: Mapping[str, str]) -> list[float]:
        key = tuple(sorted((name, _fitting(value)) for name, value in labels.items()))
        if key not in self._values and len(self._values) >= self._most:
            key = tuple((name, REST) for name, _ in key)
        width = len(self.bounds) + 2 if self.kind == "histogram" else 1
        return self._values.setdefault(key, [0.0] * width)

    def now(self) -> Iterator[tuple[Labels, Sequence[float]]]:
        """What there is for each set of labels; these are sorted."""
        for labels, values in list(self._values.items()):
            yield labels, values.copy()


FS = TypeVar("FS", bound=FigureSettings, default=FigureSettings, covariant=True)  # noqa: PLC0105 - as in the port


class KeepsFigures(Telemetry[FS]):
    """The base of such a sink. Its methods stand in the way of every request, and are written for that."""

    def __init__(self, settings: FS | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        self._figures: dict[str, Figure] = {}
        self._events: dict[object, list[float]] = {}
        self._counters: dict[object, list[float]] = {}
        self._gauges: dict[object, list[float]] = {}
        self._histograms: dict[object, tuple[list[float], Sequence[float]]] = {}

    def check(self) -> Iterable[Problem]:
        buckets = self.settings.buckets
        if sorted(set(buckets)) != buckets or not buckets:
            yield Problem(
                "buckets",
                "the buckets do not grow",
                "a duration would be counted in a bucket that it does not fit",
                "write each once, the smallest first",
            )

    @abstractmethod
    def name_of(self, name: str, kind: FigureKind) -> str:
        """What a figure is called where it is read."""

    def now(self) -> Sequence[tuple[str, Figure]]:
        return sorted(self._figures.items())

    def event(self, name: str, level: Level, fields: dict[str, object]) -> None:
        """Only how many of each level there are: what they say is for a log."""
        values = self._events.get((name, level))
        if values is None:
            labels = {"name": name, "level": level}
            values = self._figure("events", "counter").values_of(labels)
            _remember(self._events, (name, level), values, labels)
        values[0] += 1

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        """A counter never falls; what is no number would make it one for ever."""
        if 0 <= amount < math.inf:
            told = (name, *labels, *labels.values())
            values = self._counters.get(told)
            if values is None:
                values = self._figure(name, "counter").values_of(labels)
                _remember(self._counters, told, values, labels)
            values[0] += amount

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        told = (name, *labels, *labels.values())
        values = self._gauges.get(told)
        if values is None:
            values = self._figure(name, "gauge").values_of(labels)
            _remember(self._gauges, told, values, labels)
        values[0] = value

    def observe(self, name: str, value: float, labels: dict[str, str]) -> None:
        if not math.isfinite(value):
            return
        told = (name, *labels, *labels.values())
        known = self._histograms.get(told)
        if known is None:
            figure = self._figure(name, "histogram")
            known = figure.values_of(labels), figure.bounds
            _remember(self._histograms, told, known, labels)
        values, bounds = known
        values[bisect_left(bounds, value)] += 1
        values[-1] += value

    def _figure(self, told: str, kind: FigureKind) -> Figure:
        """A name that was told as one kind before is another figure as another."""
        name = self.name_of(told, kind)
        figure = self._figures.get(name)
        if figure is not None and figure.kind != kind:
            name = f"{name}_{kind}"
            figure = self._figures.get(name)
        if figure is None and len(self._figures) >= FIGURES_MOST:
            name = self.name_of(f"{REST}_{kind}", kind)
            figure = self._figures.get(name)
        if figure is None:
            scale = 1000 if name.endswith(MILLISECONDS) else 1
            bounds = [bound * scale for bound in self.settings.buckets]
            figure = self._figures[name] = Figure(kind, self.settings.label_sets_most, bounds)
        return figure


def _fitting(value: str) -> str:
    return text if len(text := str(value)) <= VALUE_MOST else REST


K = TypeVar("K")


def _remember(known: dict[object, K], told: object, values: K, labels: Mapping[str, str]) -> None:
    """Whoever tells a figure names its labels in one order, mostly, and need not have them sorted again."""
    if len(known) < REMEMBERED_MOST and all(_fitting(value) == value for value in labels.values()):
        known[told] = values
