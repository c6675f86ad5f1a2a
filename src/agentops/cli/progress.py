"""How far a command is, on standard error: a bar at a terminal."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Generator

    from agentops.sql.copying.sides import Tell as TellStage


class Tell(Protocol):
    def __call__(self, done: int, total: int | None = None) -> None: ...


LINE_SECONDS: Final = 10.0
"""Between two lines where nobody sees a bar."""


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


@contextmanager
def stages() -> Generator[TellStage]:
    """Yield what is to be told what is being done, and how much of it: for hours, so a log is told now and then."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[rate]}"), console=Console(stderr=True), transient=True) as shown:
        stage = _Stage("Connecting", 0)
        task = shown.add_task(stage.doing, total=None, rate="")

        def tell(doing: str, done: int, total: int | None = None) -> None:
            nonlocal stage, task
            if doing != stage.doing:
                stage = _Stage(doing, done)
                shown.remove_task(task)
                task = shown.add_task(doing, total=total, completed=done, rate="")
            shown.update(task, completed=done, total=total, rate=f"{stage.rate(done):,.0f}/s")

        yield tell


class _Stage:
    """What is being done, and how fast, counted from its own beginning."""

    def __init__(self, doing: str, done: int) -> None:
        self.doing = doing
        self._first = done
        self._began = time.monotonic()

    def rate(self, done: int) -> float:
        return (done - self._first) / max(time.monotonic() - self._began, 0.001)


class _Lines:
    def __init__(self) -> None:
        self._stage = _Stage("", 0)
        self._next = time.monotonic() + LINE_SECONDS

    def __call__(self, doing: str, done: int, total: int | None = None) -> None:
        if doing != self._stage.doing:
            self._stage = _Stage(doing, done)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LINE_SECONDS
        left = "" if total is None else f", {max(total - done, 0):,} left"
        click.echo(f"{doing}: {done:,}{left}, {self._stage.rate(done):,.0f}/s", err=True)
