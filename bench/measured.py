"""Everything that one run of the bench found out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.results import Result
    from bench.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Measured:
    date: str
    quick: bool
    machine: Mapping[str, str]
    figures: dict[str, Sequence[Result]] = field(default_factory=dict[str, "Sequence[Result]"])
    sweeps: dict[str, Sequence[Sweep]] = field(default_factory=dict[str, "Sequence[Sweep]"])
    missing: dict[str, str] = field(default_factory=dict[str, str])
    """Why, by the name of what was to be measured."""
