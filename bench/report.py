"""The page of the documentation that holds all figures, and its plots."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from bench.plot import svg
from bench.table import bound_of, digits, number, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from bench.measured import Measured
    from bench.results import Result
    from bench.sweep import Sweep

T = TypeVar("T")

_HEAD: Final = """\
# Benchmarks

<!-- written by `make bench`: what is changed here by hand is lost -->

What `make bench` measured on {date}, with everything on one machine: servers, databases, and whoever asks them. \
It measures again on yours.
"""
_QUICK: Final = """\
!!! warning "A quick run"

    `python -m bench --quick` wrote this page, which only shows that everything can be measured. Its figures mean \
nothing, and neither do targets that it meets or misses.
"""
_FIGURES: Final = """\
## Figures

Each is the median of its rounds. A server alone has one core, and the load another; several servers share both with \
the Postgres and the Redis behind them, and with the load.
"""
_SWEEPS: Final = """\
## How cost grows

Each point is the median of several. Appends, pages and the opening of a stream are measured at the storage, without \
HTTP; streams and arrays over HTTP, one server and its database on one core. Before Postgres was measured, it had \
time for its own work (`VACUUM (ANALYZE)`).
"""


def write(page: Path, measured: Measured) -> None:
    """The plots are put into a folder beside the page, of its name; those of an earlier run go."""
    plots = page.with_suffix("")
    plots.mkdir(parents=True, exist_ok=True)
    for old in plots.glob("*.svg"):
        old.unlink()
    for sweep in _flat(measured.sweeps.values()):
        (plots / _file_of(sweep)).write_text(svg(sweep), encoding="utf-8")
    page.write_text("\n".join(_blocks(measured, plots.name)), encoding="utf-8")


def _blocks(measured: Measured, plots: str) -> Iterator[str]:
    yield _HEAD.format(date=measured.date)
    if measured.quick:
        yield _QUICK
    yield _verdict(_flat(measured.figures.values()))
    yield _missing(measured)
    yield "## Machine\n"
    yield _table(("what", "is"), measured.machine.items())
    yield _FIGURES
    yield _table(
        ("figure", "on", "measured", "must reach", "", "rounds", "note"),
        map(_figure, _flat(measured.figures.values())),
    )
    yield _SWEEPS
    for sweep in _flat(measured.sweeps.values()):
        yield f"### {sweep.title}\n"
        yield f"![{sweep.title}]({plots}/{_file_of(sweep)})\n"
        yield _table((sweep.across, *sweep.lines), rows_of(sweep))


def _verdict(results: Sequence[Result]) -> str:
    judged = [result for result in results if result.goal is not None]
    missed = [result for result in judged if not result.is_met]
    said = f"{len(judged) - len(missed)} of {len(judged)} targets are met."
    if not missed:
        return f"{said}\n"
    lines = (f"- {each.name}{_on(each)}: {number(each.value, each.unit)}, must be {bound_of(each)}" for each in missed)
    return "\n".join([f"{said} Missed:", "", *lines, ""])


def _on(result: Result) -> str:
    return f" ({result.engine})" if result.engine else ""


def _missing(measured: Measured) -> str:
    """What failed, or needs what was not there; nothing is left out in silence."""
    if not measured.missing:
        return ""
    lines = (f"- {name}: {reason}" for name, reason in measured.missing.items())
    return "\n".join(["Not measured:", "", *lines, ""])


def _figure(result: Result) -> Sequence[str]:
    verdict = "" if result.goal is None else "met" if result.is_met else "**missed**"
    rounds = " · ".join(digits(value, result.unit) for value in result.rounds)
    measured = number(result.value, result.unit)
    return (result.name, result.engine, measured, bound_of(result), verdict, rounds, result.note)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([*(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines), ""])


def _file_of(sweep: Sweep) -> str:
    return f"{re.sub('[^a-z]+', '-', sweep.title.lower())}.svg"


def _flat(groups: Iterable[Sequence[T]]) -> Sequence[T]:
    return [each for group in groups for each in group]
