"""A sweep as an SVG: both axes logarithmic, so that what grows in proportion is a straight line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.sweep import Sweep

_WIDTH, _HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 490, 18, 286
_LINES: Final = (("#3b82c4", ""), ("#d9731a", "7 3"), ("#2e9e6b", "2 3"), ("#b457c9", "9 3 2 3"), ("#c93a4a", "4 2"))
_STYLE: Final = """
    .paper { fill: #ffffff } text { fill: #333333; font: 12px sans-serif } .grid { stroke: #dddddd }
    .title { font-weight: bold }
    @media (prefers-color-scheme: dark) {
        .paper { fill: #1b1d26 } text { fill: #d8d8de } .grid { stroke: #3a3d4a }
    }
"""


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where a value is, between two ends of the paper."""

    ticks: Sequence[float]
    start: float
    end: float

    def at(self, value: float) -> float:
        low, high = math.log10(self.ticks[0]), math.log10(self.ticks[-1])
        return self.start + (math.log10(value) - low) / (high - low) * (self.end - self.start)


def svg(sweep: Sweep) -> str:
    across = _Axis(_ticks(sweep.sizes, steps=(1,)), _LEFT, _RIGHT)
    values = [value for line in sweep.lines.values() for value in line]
    up = _Axis(_ticks(values, steps=(1, 2, 5)), _BOTTOM, _TOP)
    unit = "per second" if sweep.unit == "/s" else sweep.unit
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(sweep.title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>',
        *_grid(across, up),
        _title(f'x="{(_LEFT + _RIGHT) / 2}" y="{_BOTTOM + 42}"', sweep.across),
        _title(f'transform="translate(18 {(_TOP + _BOTTOM) / 2}) rotate(-90)"', unit),
    ]
    for place, (name, line) in enumerate(sweep.lines.items()):
        parts += _line(place, name, [(across.at(x), up.at(y)) for x, y in zip(sweep.sizes, line, strict=True)])
    return "\n".join([*parts, "</svg>", ""])


def _title(where: str, said: str) -> str:
    return f'<text class="title" text-anchor="middle" {where}>{escape(said)}</text>'


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    for tick in across.ticks:
        x = across.at(tick)
        yield f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_BOTTOM}"/>'
        yield f'<text x="{x:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{tick:,.0f}</text>'
    for tick in up.ticks:
        y = up.at(tick)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_RIGHT}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:,.10g}</text>'


def _line(place: int, name: str, points: Sequence[tuple[float, float]]) -> Iterator[str]:
    colour, dashes = _LINES[place % len(_LINES)]
    drawn = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}" fill="none"'
    yield f'<polyline {drawn} points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    y = _TOP + 12 + 22 * place
    yield f'<line {drawn} x1="{_RIGHT + 14}" y1="{y}" x2="{_RIGHT + 42}" y2="{y}"/>'
    yield f'<text x="{_RIGHT + 48}" y="{y + 4}">{escape(name)}</text>'


def _ticks(values: Sequence[float], steps: Sequence[int]) -> Sequence[float]:
    """Around all values; over several decades only their beginnings."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    used = steps if high - low <= 2 else (1,)
    ticks = [step * 10.0**power for power in range(low, high + 2) for step in used]
    first = max(place for place, tick in enumerate(ticks) if tick <= min(values) * (1 + 1e-9))
    last = min(place for place, tick in enumerate(ticks) if tick >= max(values) * (1 - 1e-9))
    return ticks[first : max(last, first + 1) + 1]
