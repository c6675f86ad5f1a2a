"""`python -m bench`: measure everything, print it, and write the page of the documentation; or only some of it."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import uvloop

from bench.cores import Cores
from bench.failed import Failed
from bench.figures import FIGURES
from bench.machine import describe
from bench.measured import Measured
from bench.postgres import Postgres, postgres
from bench.redis import redis_version
from bench.report import write
from bench.scale import FULL, QUICK
from bench.setup import Setup
from bench.sweeps import SWEEPS
from bench.table import as_json, as_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bench.server import Engine

T = TypeVar("T")

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"
_ENGINES: dict[str, Sequence[Engine]] = {
    "both": ("uvicorn", "granian"),
    "uvicorn": ("uvicorn",),
    "granian": ("granian",),
}


def main() -> int:
    asked = _arguments()
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    cores = Cores.found()
    cores.take_load()
    with tempfile.TemporaryDirectory(prefix="agentops-bench-", dir=asked.folder) as folder:
        today = datetime.now(tz=UTC).date().isoformat()
        with postgres(cores) as server:
            measured = Measured(today, asked.quick, describe(cores, Path(folder), _servers(server)))
            setup = Setup(QUICK if asked.quick else FULL, cores, Path(folder), _ENGINES[asked.engine], server)
            uvloop.run(_measure(setup, asked.only or [*FIGURES, *SWEEPS], measured))
    if asked.json is not None:
        asked.json.write_text(as_json(measured), encoding="utf-8")
    print(as_text(measured))
    page = _page(asked)
    if page is not None:
        write(page, measured)
        print(f"\nwritten: {page}")
    return 1 if measured.missing else 0


def _servers(database: Postgres | None) -> Sequence[str]:
    """Those that the servers stand before."""
    versions = {"Postgres": database.version if database else None, "Redis": redis_version()}
    return [f"{name} {version}" for name, version in versions.items() if version]


def _page(asked: argparse.Namespace) -> Path | None:
    """Where the report goes: a part of it never takes the place of the whole, nor does a quick one unless told to."""
    if asked.page is not None or asked.only or asked.quick:
        page: Path | None = asked.page
        return page
    return PAGE


async def _measure(setup: Setup, names: Sequence[str], measured: Measured) -> None:
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        if name in FIGURES:
            await _one(name, FIGURES, setup, measured.figures, measured.missing)
        else:
            await _one(name, SWEEPS, setup, measured.sweeps, measured.missing)


async def _one(
    name: str,
    known: Mapping[str, Callable[[Setup], Awaitable[Sequence[T]]]],
    setup: Setup,
    found: dict[str, Sequence[T]],
    missing: dict[str, str],
) -> None:
    """One that fails says so, and does not cost the others."""
    try:
        found[name] = await known[name](setup)
    except (Failed, OSError) as failure:
        print(f"{name}: {type(failure).__name__}: {failure}", file=sys.stderr)
        missing[name] = f"it failed ({type(failure).__name__})"
    else:
        if not found[name]:
            missing[name] = "what it needs is not installed"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*FIGURES, *SWEEPS], help="only this; may be repeated")
    parser.add_argument(
        "--engine",
        choices=list(_ENGINES),
        default="both",
        help="both: posts, fan-out and made-up keys on each, the rest on uvicorn (default: %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="try everything in a minute; the figures mean nothing")
    parser.add_argument("--folder", type=Path, help="where the databases are made (default: the temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="write the report there; without it, a whole run that is not quick writes docs/reference/benchmarks.md",
    )
    asked = parser.parse_args()
    if asked.page is not None and asked.only:
        parser.error("--page takes a whole run: leave out --only")
    return asked


if __name__ == "__main__":
    sys.exit(main())
