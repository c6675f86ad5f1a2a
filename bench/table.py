"""The results as text for a person, or as JSON for a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.results import Result, Unit

_HEAD = ("figure", "engine", "measured", "must reach", "", "rounds", "note")
_RIGHT = {"measured", "must reach"}


def as_text(machine: Mapping[str, str], results: Mapping[str, Sequence[Result]]) -> str:
    lines = [_cells(result) for figure in results.values() for result in figure]
    widths = [max(len(line[column]) for line in [_HEAD, *lines]) for column in range(len(_HEAD))]
    rule = "  ".join("-" * width for width in widths)
    table = [_line(_HEAD, widths), rule, *(_line(line, widths) for line in lines)]
    place = [f"{name + ':':<13}{fact}" for name, fact in machine.items()]
    return "\n".join([*place, "", *table])


def as_json(machine: Mapping[str, str], results: Mapping[str, Sequence[Result]]) -> str:
    figures = {name: [_fields(result) for result in figure] for name, figure in results.items()}
    return json.dumps({"machine": machine, "figures": figures}, indent=2, ensure_ascii=False)


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
    rounds = " ".join(_digits(value, result.unit) for value in result.rounds)
    verdict = "" if result.goal is None else "ok" if result.is_met else "short"
    return (result.name, result.engine, number(result.value, result.unit), bound, verdict, rounds, result.note)


def bound_of(result: Result) -> str:
    goal = result.goal
    return "" if goal is None else f"{'≥' if goal.kind == 'at least' else '≤'} {number(goal.bound, result.unit)}"


def number(value: float, unit: Unit) -> str:
    return f"{_digits(value, unit)}{unit}" if unit == "/s" else f"{_digits(value, unit)} {unit}"


def _digits(value: float, unit: Unit) -> str:
    return f"{value:,.0f}" if unit == "/s" else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if name in _RIGHT else cell.ljust(width)
        for name, cell, width in zip(_HEAD, cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()
