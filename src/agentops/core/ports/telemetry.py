"""Telemetry: where named events, counters, timings and levels go. Any number of them at once."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

from agentops.core.plugin import Kind, Plugin, S

Level = Literal["debug", "info", "warning", "error"]


class Telemetry(Plugin[S]):
    """One sink. It is called on the event loop: it must not block, and what it raises costs only its own data.

    Names, fields and labels may be anything of their type, and differ from call to call; they are not its to change.
    """

    kind: ClassVar[Kind] = "telemetry"

    @abstractmethod
    def event(self, name: str, level: Level, fields: dict[str, object]) -> None:
        """Something worth telling happened; show no `Secret` in `fields`, and no variables of an error's frames."""

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        """Add to a counter."""

    def observe(self, name: str, value: float, labels: dict[str, str]) -> None:
        """Put a value into a distribution; durations are seconds."""

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        """Set a level that goes up and down."""
