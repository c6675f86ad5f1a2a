"""A progress bar on standard error, where somebody looks at it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator


class Tell(Protocol):
    def __call__(self, done: int, total: int | None = None) -> None: ...


@contextmanager
def progress(doing: str) -> Generator[Tell]:
    """Yield what is to be told how much is done, of how much; it shows nothing unless at a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total=None: None  # noqa: ARG005 - the names are the protocol's
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(doing, total=None)
        yield lambda done, total=None: shown.update(task, completed=done, total=total)
