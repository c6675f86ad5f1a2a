"""`python -m bench`: measure every figure, or some of them, and print the table."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from bench.cores import Cores
from bench.failed import Failed
from bench.figures import FIGURES
from bench.machine import describe
from bench.scale import FULL, QUICK
from bench.setup import Setup
from bench.table import as_json, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.results import Result
    from bench.server import Engine

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
        machine = describe(cores, Path(folder))
        setup = Setup(QUICK if asked.quick else FULL, cores, Path(folder), _ENGINES[asked.engine])
        names = asked.only or list(FIGURES)
        results = uvloop.run(_measure(setup, names))
    if asked.json is not None:
        asked.json.write_text(as_json(machine, results), encoding="utf-8")
    print(as_text(machine, results))
    return 0 if results.keys() == set(names) else 1


async def _measure(setup: Setup, names: Sequence[str]) -> Mapping[str, Sequence[Result]]:
    """What each figure came to; one that fails says so, and does not cost the others."""
    results: dict[str, Sequence[Result]] = {}
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            results[name] = await FIGURES[name](setup)
        except (Failed, OSError) as failure:
            print(f"{name}: {type(failure).__name__}: {failure}", file=sys.stderr)
    return results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(FIGURES), help="only this figure; may be repeated")
    parser.add_argument(
        "--engine",
        choices=list(_ENGINES),
        default="both",
        help="both: posts, fan-out and made-up keys on each, the rest on uvicorn (default: %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="try everything in seconds; the figures mean nothing")
    parser.add_argument("--folder", type=Path, help="where the databases are made (default: the temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
