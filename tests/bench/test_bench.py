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
}


@pytest.mark.slow
def test_a_quick_run_produces_every_figure(tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    command = [sys.executable, "-m", "bench", "--quick", "--folder", str(tmp_path), "--json", str(report)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert run.returncode == 0, run.stderr
    measured: dict[str, list[dict[str, Any]]] = json.loads(report.read_text())["figures"]
    assert {figure: [line["engine"] for line in lines] for figure, lines in measured.items()} == FIGURES
    for line in (line for lines in measured.values() for line in lines):
        assert isinstance(line["measured"], float), line
        assert line["name"] in run.stdout
