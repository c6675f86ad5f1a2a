"""The report shows everything that was measured, what fell short as well, and its plots can be drawn."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest

from bench.measured import Measured
from bench.plot import svg
from bench.report import write
from bench.results import Result, at_least, at_most
from bench.sweep import Sweep

if TYPE_CHECKING:
    from pathlib import Path

SVG: Final = "{http://www.w3.org/2000/svg}"
GROWN: Final = Sweep(
    "A run of <many> events",
    "events & runs",
    "ms",
    (1_000, 10_000, 10_000_000),
    {"append": (0.31, 0.3, 0.42), "page": (1.2, 1.4, 260.0)},
)
MEASURED: Final = Measured(
    date="2026-01-31",
    quick=False,
    machine={"cpu": "a quick one"},
    figures={
        "posts": [
            Result("fast enough", "/s", at_least(6000), [7000, 6500, 6400], "uvicorn"),
            Result("too slow", "ms", at_most(5), [4, 6, 9.5], "granian", note="a | in a note"),
            Result("without a target", "/s", None, [123]),
        ]
    },
    sweeps={"many-events": [GROWN]},
    missing={"workers": "it failed (Failed)"},
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "reference" / "benchmarks.md"


def written(page: Path, measured: Measured = MEASURED) -> str:
    write(page, measured)
    return page.read_text("utf-8")


def test_what_fell_short_is_said_first_and_in_its_row(page: Path) -> None:
    text = written(page)
    assert "1 of 2 targets are met. Missed:\n\n- too slow (granian): 6.00 ms, must be ≤ 5.00 ms\n" in text
    assert "| too slow | granian | 6.00 ms | ≤ 5.00 ms | **missed** | 4.00 · 6.00 · 9.50 | a / in a note |" in text
    assert "| fast enough | uvicorn | 6,500/s | ≥ 6,000/s | met | 7,000 · 6,500 · 6,400 |  |" in text
    assert "| without a target |  | 123/s |  |  | 123 |  |" in text


def test_what_could_not_be_measured_is_said(page: Path) -> None:
    assert "Not measured:\n\n- workers: it failed (Failed)\n" in written(page)


def test_only_a_quick_run_says_that_it_means_nothing(page: Path) -> None:
    assert "Its figures mean nothing" not in written(page)
    assert "Its figures mean nothing" in written(page, replace(MEASURED, quick=True))


def test_a_sweep_is_a_table_beside_a_plot(page: Path) -> None:
    text = written(page)
    (plot,) = re.findall(r"!\[.*\]\((.*)\)", text)
    assert (page.parent / plot).read_text("utf-8") == svg(GROWN)
    assert "| events & runs | append | page |" in text
    assert "| 10,000,000 | 0.42 ms | 260.0 ms |" in text


def test_plots_of_an_earlier_run_are_gone(page: Path) -> None:
    written(page, replace(MEASURED, sweeps={"other": [replace(GROWN, title="Other")]}))
    written(page)
    assert [path.name for path in (page.parent / "benchmarks").iterdir()] == ["a-run-of-many-events.svg"]


@pytest.mark.parametrize(
    "lines",
    [
        {"all the same": (5.0, 5.0, 5.0)},
        {"powers of ten": (0.01, 1.0, 1000.0)},
        {"close together": (3.1, 3.2, 3.3), "and others": (3.4, 3.5, 9.99)},
        {f"line {number}": (number + 1.0, number + 2.0, number + 3.0) for number in range(7)},
    ],
    ids=lambda lines: next(iter(lines)),
)
def test_a_plot_is_xml_with_every_point_on_the_paper(lines: dict[str, tuple[float, ...]]) -> None:
    drawn = ET.fromstring(svg(replace(GROWN, lines=lines)))
    _, _, width, height = map(float, drawn.attrib["viewBox"].split())
    names = {text.text for text in drawn.iter(f"{SVG}text")}
    assert {*lines, "events & runs", "ms", "1,000", "10,000,000"} <= names
    drawn_lines = [line.attrib["points"].split() for line in drawn.iter(f"{SVG}polyline")]
    assert [len(points) for points in drawn_lines] == [3] * len(lines)
    for point in (point for points in drawn_lines for point in points):
        x, y = map(float, point.split(","))
        assert math.isfinite(x)
        assert math.isfinite(y)
        assert 0 < x < width
        assert 0 < y < height


def test_a_single_size_can_be_drawn() -> None:
    assert "nan" not in svg(replace(GROWN, sizes=(1000,), lines={"append": (0.3,)})).lower()


def test_larger_is_higher() -> None:
    drawn = ET.fromstring(svg(replace(GROWN, lines={"rising": (1.0, 10.0, 100.0)})))
    (line,) = drawn.iter(f"{SVG}polyline")
    heights = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 3
