"""The bench still works: every figure comes out of a run that is too short to mean anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

FIGURES = {
    "posts": ["uvicorn", "uvicorn", "granian", "granian"],
    "arrays": ["uvicorn"],
    "latency": ["uvicorn", "uvicorn"],
    "fanout": ["uvicorn", "uvicorn", "granian", "granian"],
    "replay": ["uvicorn"],
    "memory": ["uvicorn", "uvicorn"],
    "start": ["uvicorn", ""],
    "pages": ["uvicorn"],
    "auth": [""] * 8,
    "made-up-keys": ["uvicorn", "granian"],
    "telemetry": ["", ""],
    "limits": ["", ""],
    "gateway": ["uvicorn"] * 8,
    "workers": ["uvicorn"] * 6,
    "instances": ["uvicorn", "uvicorn", "uvicorn", ""],
}
SWEEPS = {"many-events": 2, "many-runs": 2, "many-streams": 2, "many-at-once": 1}


@pytest.mark.slow
def test_a_quick_run_produces_every_figure(tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    page = tmp_path / "benchmarks.md"
    command = [sys.executable, "-m", "bench", "--quick", "--folder", str(tmp_path), "--json", str(report)]
    run = subprocess.run(
        [*command, "--page", str(page)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    everything = json.loads(report.read_text())
    measured: dict[str, list[dict[str, Any]]] = everything["figures"]
    assert {figure: [line["engine"] for line in lines] for figure, lines in measured.items()} == FIGURES
    for line in (line for lines in measured.values() for line in lines):
        assert isinstance(line["measured"], float), line
        assert line["name"] in run.stdout
        assert line["name"] in page.read_text()
    assert {name: len(sweeps) for name, sweeps in everything["sweeps"].items()} == SWEEPS
    assert len(list((tmp_path / "benchmarks").glob("*.svg"))) == sum(SWEEPS.values())


def test_a_part_does_not_become_the_report(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "--quick", "--only", "limits", "--page", str(tmp_path / "benchmarks.md")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert "--page takes a whole run" in run.stderr
