"""What a batch of appends does to the tables, worked out before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import BadRequest, Refusal
from agentops.core.ports.storage import Append, Appended
from agentops.core.records import Status, StoredEvent
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS: Final = ("id", "project", "run", "body", "key")
NOTHING: Final = Appended((), 0, 0, 0, {})
"""What became of the events of an append that has none."""

RunName = tuple[str, str]
"""A project's name and a run's."""

KnownKeys = dict[tuple[int, str], StoredEvent]
"""Events that are there already, by run and key."""


@dataclass(slots=True)
class RunState:
    """A run as the batch finds it, and as it leaves it."""

    project: int
    pk: int
    last: int
    kept: int
    added: int = 0
    status: Status | None = None


@dataclass(slots=True)
class Plan:
    """Rows to insert, and the answers to give once they are committed."""

    values: list[Any] = field(default_factory=list[Any])
    """Row after row, `COLUMNS` of each."""
    appended: list[Appended] = field(default_factory=list[Appended])


def refusal(append: Append) -> Refusal | None:
    """Say why no database could hold this append; the rest is found out by storing it."""
    if not (storable(append.project) and storable(append.run)):
        return BadRequest("a run's id must be text without NUL", param="id")
    for body, key in append.events:
        if "\0" in body or (key is not None and "\0" in key):
            return BadRequest("an event must not hold a NUL character")
    for statement in append.statements:
        if not all(storable(value) for value in statement.values if isinstance(value, str)):
            return BadRequest("what is stored must be text without NUL")
    return None


def wanted_keys(batch: Sequence[Append]) -> dict[RunName, list[str]]:
    """The keys that the batch brings, by run."""
    wanted: dict[RunName, list[str]] = {}
    for append in batch:
        for _, key in append.events:
            if key is not None:
                wanted.setdefault((append.project, append.run), []).append(key)
    return wanted


def plan(batch: Sequence[Append], states: Mapping[RunName, RunState], known: KnownKeys, fresh: Sequence[int]) -> Plan:
    """Give each new event the next of the `fresh` ids, ascending, and each repeated one the id it has."""
    made = Plan()
    unused = iter(fresh)
    for append in batch:
        state = states[append.project, append.run]
        previous = state.last
        ids: list[int] = []
        repeats: dict[int, str] = {}
        for body, key in append.events:
            if key is not None:
                earlier = known.get((state.pk, key))
                if earlier is not None:
                    repeats[len(ids)] = earlier.body
                    ids.append(earlier.id)
                    continue
            new = next(unused)
            ids.append(new)
            made.values += (new, state.project, state.pk, body, key)
            if key is not None:
                known[state.pk, key] = StoredEvent(new, body)
            state.last = new
        state.added += len(ids) - len(repeats)
        state.kept += len(ids) - len(repeats)
        state.status = append.status or state.status
        made.appended.append(Appended(ids, previous, state.last, state.kept, repeats))
    return made
