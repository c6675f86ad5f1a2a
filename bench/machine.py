"""Where it was measured: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from agentops import __version__
from bench.numbers import percentile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.cores import Cores

_LIBRARIES: Final = (
    "litestar",
    "msgspec",
    "uvicorn",
    "httptools",
    "uvloop",
    "granian",
    "aiosqlite",
    "asyncpg",
    "redis",
)
_SYNCS: Final = 200
_LOOP_TRIES: Final = 7
_LOOP_TURNS: Final = 500_000


def describe(cores: Cores, folder: Path, servers: Sequence[str]) -> Mapping[str, str]:
    load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    return {
        "cpu": f"{_cpu_model()}, {psutil.cpu_count()} cores; {cores.story}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "agentops": __version__,
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "servers": ", ".join(servers) or "no Postgres and no Redis",
        "pace": f"{_loop_cost():.0f} ns for a turn of an empty Python loop",
        "disk": f"{_file_system(folder)}; {_sync_cost(folder)}",
        "load before": f"{load} over 1, 5 and 15 minutes",
    }


def _cpu_model() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    holding = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(holding, key=lambda part: len(part.mountpoint)).fstype if holding else "unknown file system"


def _loop_cost() -> float:
    """The best of several, for telling a slow machine, or one whose cores are shared, from a quick one."""
    tries: list[float] = []
    for _ in range(_LOOP_TRIES):
        began = time.perf_counter_ns()
        for _ in range(_LOOP_TURNS):
            pass
        tries.append((time.perf_counter_ns() - began) / _LOOP_TURNS)
    return min(tries)


def _sync_cost(folder: Path) -> str:
    """What a commit pays at least: a page appended to a file, and waited for."""
    file = folder / "sync-cost"
    costs: list[float] = []
    with file.open("wb", buffering=0) as page:
        for _ in range(_SYNCS):
            page.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(page.fileno())
            costs.append((time.perf_counter() - began) * 1000)
    file.unlink()
    return f"fsync p50 {percentile(costs, 50):.2f} ms, p99 {percentile(costs, 99):.2f} ms"
