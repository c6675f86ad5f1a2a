"""The results as text for a person, or as JSON for a program."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.measured import Measured
    from bench.results import Result, Unit
    from bench.sweep import Sweep

_HEAD = ("figure", "engine", "measured", "must reach", "", "rounds", "note")
_LEFT = {"figure", "engine", "", "rounds", "note"}


def as_text(measured: Measured) -> str:
    place = [f"{name + ':':<13}{fact}" for name, fact in measured.machine.items()]
    results = [result for figure in measured.figures.values() for result in figure]
    tables = [_aligned([_HEAD, *map(_cells, results)])] if results else []
    tables += [_grown(sweep) for sweeps in measured.sweeps.values() for sweep in sweeps]
    return "\n\n".join(["\n".join(place), *tables])


def as_json(measured: Measured) -> str:
    figures = {name: [_fields(result) for result in figure] for name, figure in measured.figures.items()}
    sweeps = {name: [asdict(sweep) for sweep in some] for name, some in measured.sweeps.items()}
    everything = {"machine": measured.machine, "figures": figures, "sweeps": sweeps, "missing": measured.missing}
    return json.dumps(everything, indent=2, ensure_ascii=False)


def _grown(sweep: Sweep) -> str:
    return f"{sweep.title}\n{_aligned([(sweep.across, *sweep.lines), *rows_of(sweep)])}"


def _fields(result: Result) -> Mapping[str, object]:
    return {
        "name": result.name,
        "engine": result.engine,
        "measured": result.value,
        "unit": result.unit,
        **({result.goal.kind: result.goal.bound} if result.goal else {}),
        "ok": result.is_met,
        "rounds": list(result.rounds),
        "note": result.note,
    }


def _cells(result: Result) -> Sequence[str]:
    bound = bound_of(result)
    rounds = " ".join(digits(value, result.unit) for value in result.rounds)
    verdict = "" if result.goal is None else "ok" if result.is_met else "short"
    return (result.name, result.engine, number(result.value, result.unit), bound, verdict, rounds, result.note)


def rows_of(sweep: Sweep) -> Sequence[Sequence[str]]:
    """A line for each size."""
    return [
        (f"{size:,}", *(number(line[place], sweep.unit) for line in sweep.lines.values()))
        for place, size in enumerate(sweep.sizes)
    ]


def bound_of(result: Result) -> str:
    goal = result.goal
    return "" if goal is None else f"{'≥' if goal.kind == 'at least' else '≤'} {number(goal.bound, result.unit)}"


def number(value: float, unit: Unit) -> str:
    return f"{digits(value, unit)}{unit}" if unit == "/s" else f"{digits(value, unit)} {unit}"


def digits(value: float, unit: Unit) -> str:
    return f"{value:,.0f}" if unit == "/s" else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Under the first of them, which is the head, a rule."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    head, *rest = (_line(line, lines[0], widths) for line in lines)
    return "\n".join([head, "  ".join("-" * width for width in widths), *rest])


def _line(cells: Sequence[str], head: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if name in _LEFT else cell.rjust(width)
        for name, cell, width in zip(head, cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()
