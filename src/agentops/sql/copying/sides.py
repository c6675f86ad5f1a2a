"""The two sides of a copy, as a storage offers them that can be copied from, or into."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, runtime_checkable

from sqlalchemy import Table

Row = tuple[Any, ...]
Key = int | str

PAGE_ROWS: Final = 5_000
PAGE_BYTES: Final = 8 * 1024 * 1024
"""What is held in memory of either side, and written in one transaction: so much, or one row that is larger."""

Pages = Callable[[Table, Key | None], Awaitable[Sequence[Row]]]
"""Rows of a table behind a key, in the order of their keys; none at the end."""

Places = Mapping[Table, int]
"""Up to which id each of the tables that only grow is copied."""


class Tell(Protocol):
    """Hears what is being done, how much of it is done, and of how much if that is known."""

    def __call__(self, doing: str, done: int, total: int | None = None) -> None: ...


class Source(Protocol):
    """A database that may be served meanwhile: every read is short, and nothing is written to it."""

    @property
    def place(self) -> str:
        """Where it is, in words."""
        ...

    async def hold(self) -> bool:
        """Keep all others out from here on; no is the answer while another process has it open."""
        ...

    async def page(self, table: Table, after: Key | None) -> Sequence[Row]:
        """At most `PAGE_ROWS` rows behind a key, and about `PAGE_BYTES` of them, but at least one."""
        ...

    async def newest(self, table: Table) -> int:
        """The highest number that the table ever gave to a row."""
        ...

    async def first_run(self) -> str:
        """The oldest run in words, by which this database is known again; nothing while there is none."""
        ...

    async def name_of_run(self, run: int) -> str:
        """A run and its project, in words."""
        ...


class Target(Protocol):
    """A database that holds a copy and nothing else; no server starts on it before the copy is whole."""

    @property
    def place(self) -> str: ...

    async def claim(self, source: Source) -> Places:
        """Take it for copies of this source, or go on with one that was begun."""
        ...

    async def refuse_served(self) -> None:
        """Raise when a server or a command of this program is connected to it."""
        ...

    async def append(self, table: Table, rows: Sequence[Row]) -> None:
        """Store rows of a table that only grows and how far it is copied, both or neither."""
        ...

    async def level(self, tables: Sequence[Table], pages: Pages, newest: Mapping[Table, int], first_run: str) -> None:
        """Make the rows of these tables those of the source, and remove the events that it no longer has."""
        ...

    async def between(self, table: Table, low: Key | None, high: Key | None, most: int) -> Sequence[Row]:
        """Rows behind one key, up to and with another, in the order of their keys."""
        ...

    async def finish(self) -> None:
        """Open it to servers."""
        ...


@runtime_checkable
class CopiedFrom(Protocol):
    """An ability of a storage that is not started; ask with `isinstance(storage, CopiedFrom)`."""

    def copied_from(self) -> AbstractAsyncContextManager[Source]: ...


@runtime_checkable
class CopiedInto(Protocol):
    """An ability of a storage that is not started; ask with `isinstance(storage, CopiedInto)`."""

    def copied_into(self) -> AbstractAsyncContextManager[Target]: ...
