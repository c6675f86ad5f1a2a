"""Where an export goes: standard output, or a new file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from agentops.cli.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

STANDARD_OUTPUT: Final = "-"


@contextmanager
def exported_to(file: Path, *, resumable: bool, resume: bool = False) -> Generator[IO[bytes]]:
    """Yield what the lines are written to; at the end they are all there, or the reason why not is raised.

    For standard output it is a buffer of its own: what `sys.stdout` cannot write out it would try again at exit. A
    part of an export stays where the rest can follow it, and else goes, for nothing in it would tell that it is one.
    """
    if str(file) == STANDARD_OUTPUT:
        with open(sys.stdout.fileno(), "wb", closefd=False) as target:
            yield target
        return
    try:
        opened = file.open("ab" if resume else "xb")
    except FileExistsError:
        instead = "another file, or go on with it by --resume" if resumable else "a new file"
        raise Failure(f"{str(file)!r} is there already: name {instead}") from None
    try:
        with opened as target:
            yield target
    except BaseException as error:
        if not resumable:
            file.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(file)
        raise
