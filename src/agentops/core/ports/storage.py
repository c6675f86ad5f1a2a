"""Storage: the truth. Runs, their events in the order they were committed, and the tables of features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from agentops.core.errors import Refusal
from agentops.core.plugin import Kind, Plugin, S
from agentops.core.records import NewEvent, Run, Status, StoredEvent

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


MARKS: Final = 20
"""Into how many pieces `forget` divides the time for which events are kept."""


class Statement(NamedTuple):
    """A change of a feature's own tables, its values at the `?`; `otherwise` is the refusal if no row was changed.

    A plain `SELECT` may stand between changes, to see what they led to.
    `locks` are names of what it changes, or relies on, where others may do so at the same time: of those who name the
    same, one goes on when the other has committed, and nobody waits in a circle.
    """

    query: str
    values: Sequence[str | int | None]
    otherwise: Refusal | None = None
    locks: Sequence[str] = ()


class Append(NamedTuple):
    """Events for one run, stored all or none; the run is made if it is new. With statements alone, it is left alone.

    The statements are carried out behind the events, in their order and in the same transaction: all of it or none.
    What need not be `lasting` may be lost in a power cut, though never what came before it, and costs no wait for the
    disk.
    """

    project: str
    run: str
    events: Sequence[NewEvent]
    status: Status | None = None
    statements: Sequence[Statement] = ()
    lasting: bool = True

    @property
    def is_of_run(self) -> bool:
        """Whether it is about its run at all."""
        return bool(self.events) or self.status is not None or not self.statements

    @property
    def weight(self) -> int:
        """How much of a batch it is."""
        return len(self.events) + len(self.statements)


class Appended(NamedTuple):
    """What became of an `Append`: the ids, in the order of its events, and the run's newest id before and after.

    `rows` is what its statements returned, one after the other.
    `repeats` holds, by position, the bodies of events whose key was there already; they were not stored again.
    `kept` is how many events of the run are stored now, so that retention need not count. `waited` says that somebody
    else was writing to the same run.
    """

    ids: Sequence[int]
    previous: int
    last: int
    kept: int
    repeats: dict[int, str]
    waited: bool = False
    rows: Sequence[Sequence[Any]] = ()


class PageQuery(NamedTuple):
    """`id > after` of a run: at most `limit` events and about `max_bytes` of them, but at least one.

    With `keep`, only the run's newest `keep` are shown (a tenth more is allowed), pruned already or not.
    """

    project: str
    run: str
    after: int
    limit: int
    max_bytes: int
    keep: int = 0


class Page(NamedTuple):
    """Events in ascending order of id. `oldest` is set when events between the cursor and the first were pruned."""

    events: Sequence[StoredEvent]
    oldest: int | None = None


class FeedItem(NamedTuple):
    """An event of any run, and the opaque cursor that stands right behind it."""

    cursor: str
    run: str
    event: StoredEvent


class RunQuery(NamedTuple):
    """Which runs to list, newest first; `before` is a run's id, or a time in epoch milliseconds."""

    limit: int
    before: str | None = None
    status: Status | None = None
    text: str | None = None


class Storage(Plugin[S]):
    """The database. Every method raises `Unavailable` when it cannot be reached or written to.

    Ids grow within a run in the order in which its events are committed, and are never used twice.
    """

    kind: ClassVar[Kind] = "storage"

    @abstractmethod
    async def migrate(self) -> None:
        """Bring the schema up to date, under a lock, so that several may call it at once."""

    @abstractmethod
    async def append(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        """Commit a batch at once and durably; one that cannot be stored is refused alone."""

    @abstractmethod
    async def page(self, query: PageQuery) -> Page:
        """Read a run's events through an index; an unknown run has none."""

    @abstractmethod
    async def last_id(self, project: str | None = None, run: str | None = None) -> int:
        """The newest id of a run (0 for an unknown one), or the newest that was ever given out."""

    @abstractmethod
    async def known(self, after: int) -> int:
        """The id itself, or the highest below it that this database may have given out and not lost since."""

    @abstractmethod
    async def epoch(self) -> int:
        """Another number when the database is not the one it was: restored, or taken over by another server."""

    @abstractmethod
    async def feed(self, project: str, after: str | None, limit: int, max_bytes: int) -> Sequence[FeedItem]:
        """Read over all runs in an order in which nothing appears later before a cursor; `None` is the start."""

    @abstractmethod
    async def feed_end(self, project: str) -> str:
        """The cursor behind everything that `feed` can see now."""

    @abstractmethod
    async def feed_misses(self, project: str, after: str) -> bool:
        """Whether events behind this cursor were pruned, or it is a cursor that this database never gave out."""

    @abstractmethod
    async def create_run(self, project: str, run: str, title: str, status: Status) -> tuple[Run, bool]:
        """Make the run, or return the one of that name unchanged; the flag says which."""

    @abstractmethod
    async def get_run(self, project: str, run: str) -> Run | None: ...

    @abstractmethod
    async def update_run(self, project: str, run: str, title: str | None, status: Status | None) -> Run | None: ...

    @abstractmethod
    async def list_runs(self, project: str, query: RunQuery) -> Sequence[Run]: ...

    @abstractmethod
    async def prune(self, project: str, run: str, keep: int) -> int:
        """Delete what is not among the run's newest `keep`, in short transactions; return how many went."""

    @abstractmethod
    async def forget(self, keep_ms: int) -> int:
        """Delete events that are older than this; return how many went. To be called now and then by every instance.

        It may keep them for longer by a `MARKS`th.
        """

    @abstractmethod
    async def overfull(self, keep: int) -> Sequence[tuple[str, str]]:
        """The project and the name of every run that has more than `keep` events."""

    @abstractmethod
    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for a feature's queries."""

    @abstractmethod
    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction for a feature's own tables: committed when the block ends, rolled back when it raises."""

    @abstractmethod
    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        """Return the rows of a plain query, its values at the `?`: the shortest way, for each request's reads."""
