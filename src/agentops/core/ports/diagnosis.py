"""Diagnosis: for a plugin of any kind that can say what is wrong where it works; without it, nothing is said of it.

`agentops doctor` asks, from a process of its own beside the server or without one. The plugin is configured and not
started, and nothing it does may change anything:

    class Gate(Authenticator[GateSettings]):
        def questions(self, storage: Reads) -> Iterable[Question]:
            yield Question("badges", partial(_lost_badges, storage))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal, NamedTuple, Protocol, get_args, runtime_checkable

from agentops.core.problem import Problem

Weight = Literal["failing", "unanswered", "risk", "advice", "fine"]
"""`failing` does not work now. `unanswered` could not be found out. `risk` works, and will not for ever or not for
everybody. `advice` is worth knowing. `fine` is a fact about what is in order: only its `what` is shown."""

WORST_FIRST: Final[tuple[Weight, ...]] = get_args(Weight)


class Finding(NamedTuple):
    """What was found, and how much it matters; the key of its problem is relative to the plugin's table."""

    weight: Weight
    problem: Problem

    def within(self, table: str) -> Finding:
        """The same finding, its key relative to a table that holds it."""
        return self._replace(problem=self.problem.within(table))


class Question(NamedTuple):
    """One thing that is asked, in two or three words, and how. No answer within seconds is an answer, too."""

    about: str
    ask: Callable[[], Awaitable[Iterable[Finding]]]


class Reads(Protocol):
    """The way to the tables: a storage has it, too. `Unavailable` when the database cannot be asked."""

    async def read_rows(self, query: str, *values: str | int) -> Sequence[Sequence[Any]]:
        """Return the rows of a plain query, its values at the `?`."""
        ...


@runtime_checkable
class Diagnoses(Protocol):
    """An ability of a plugin; ask with `isinstance(plugin, Diagnoses)`."""

    def questions(self, storage: Reads) -> Iterable[Question]:
        """Say what can be asked; each is asked apart, so that one that hangs or fails costs only itself."""
        ...


@runtime_checkable
class Peeks(Protocol):
    """An ability of a storage; one without it is started instead, and told not to migrate if it has such a setting."""

    def peek(self) -> AbstractAsyncContextManager[Reads]:
        """Read the database of a server that may be running: make, migrate and hold nothing, and do not wait long."""
        ...


def fine(what: str) -> Finding:
    return Finding("fine", Problem("", what, "", ""))
