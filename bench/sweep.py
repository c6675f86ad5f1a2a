"""How a cost grows: what it comes to as something else gets larger, for a table and a plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.results import Unit


@dataclass(frozen=True, slots=True)
class Sweep:
    """Lines by their names; each goes over the same sizes, and each of its points is the median of several."""

    title: str
    across: str
    """What grows."""
    unit: Unit
    sizes: Sequence[int]
    lines: Mapping[str, Sequence[float]]
