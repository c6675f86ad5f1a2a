"""What a figure comes to, and what it must reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.numbers import median

Unit = Literal["/s", "µs", "ms", "s", "s/min", "MB", "KB", "x"]


@dataclass(frozen=True, slots=True)
class Goal:
    """The least or the most that will do."""

    bound: float
    kind: Literal["at least", "at most"]

    def is_met_by(self, value: float) -> bool:
        return value >= self.bound if self.kind == "at least" else value <= self.bound


def at_least(bound: float) -> Goal:
    return Goal(bound, "at least")


def at_most(bound: float) -> Goal:
    return Goal(bound, "at most")


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table; its value is the median of the rounds."""

    name: str
    unit: Unit
    goal: Goal | None
    rounds: Sequence[float]
    engine: str = ""
    note: str = ""

    @property
    def value(self) -> float:
        return median(self.rounds)

    @property
    def is_met(self) -> bool:
        return self.goal is None or self.goal.is_met_by(self.value)
