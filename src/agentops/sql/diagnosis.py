"""What is asked of every SQL database: whether its schema is this program's, and which runs have fallen silent."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from agentops.core.errors import Unavailable
from agentops.core.ports.diagnosis import Finding, Question, fine
from agentops.core.problem import Problem
from agentops.core.records import now_ms
from agentops.sql.migrating import HEAD, as_known
from agentops.sql.migrations import REVISIONS, SERVED_SINCE, STORED_REVISION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentops.core.ports.diagnosis import Reads

HOUR_MS: Final = 3_600_000
SILENT_HOURS: Final = 24
LOOKED_AT_MOST: Final = 1_000
NAMED_MOST: Final = 3

_RUNNING: Final = """
    SELECT r.name, r.started_at, substr(e.body, 1, 40) AS head
    FROM runs r LEFT JOIN events e ON e.run = r.pk AND e.id = r.last_id
    WHERE r.status = 'running' AND r.started_at < ? ORDER BY r.started_at LIMIT ?
"""
_TIME: Final = re.compile(r'\{"ts":([0-9]{1,15})')
"""How every stored event begins."""


class NoTables(Unavailable):
    """There is a database, and nothing of ours in it."""

    def __init__(self) -> None:
        super().__init__("the tables of this program are not in the database")


def questions_on(storage: Reads, *, migrates: bool) -> Iterator[Question]:
    yield Question("schema", partial(schema, storage, migrates=migrates))
    yield Question("silent runs", partial(silent_runs, storage))


async def schema(storage: Reads, *, migrates: bool) -> Iterable[Finding]:
    try:
        ((stored,),) = await storage.read_rows(STORED_REVISION)
    except NoTables:
        stored = "none"
    if stored == HEAD:
        return [fine(f"schema {HEAD}")]
    if stored not in ("none", *REVISIONS):
        served_since = await storage.read_rows(SERVED_SINCE)
        if any(as_known(stored, since) == HEAD for (since,) in served_since):
            return [fine(f"schema {stored}, of a newer version, which serves this one too")]
        what = f"the database is at schema revision {stored!r}, and this program knows none newer than {HEAD!r}"
        why = "a newer version has migrated it, and this one would not start on it"
        remedy = "install the newer version here too, or restore a backup"
    else:
        what = f"the database is at schema revision {stored!r}, and this program needs {HEAD!r}"
        why = "what serves now is an older version, or nothing does"
        remedy = "run `agentops migrate` with the same --config"
        remedy += ", or start the server, which does it" if migrates else ""
    return [Finding("failing", Problem("", what, why, remedy))]


async def silent_runs(storage: Reads) -> Iterable[Finding]:
    """Runs that nobody ended: an event says when it was made, and a run without one when it began."""
    before = now_ms() - SILENT_HOURS * HOUR_MS
    rows = await storage.read_rows(_RUNNING, before, LOOKED_AT_MOST)
    silent = [name for name, started_at, head in rows if _last_sign(started_at, head) < before]
    if not silent:
        return []
    named = ", ".join(map(repr, silent[:NAMED_MOST]))
    count = f"{LOOKED_AT_MOST:,} or more" if len(silent) == LOOKED_AT_MOST else f"{len(silent):,}"
    what = f"{count} runs are `running` and have had no event for {SILENT_HOURS} hours, such as {named}"
    why = "their agents have probably died without a word, and whoever waits for the end of a run waits on"
    return [Finding("risk", Problem("", what, why, 'look at them, and end them: PATCH /runs/{id} {"status": "error"}'))]


def _last_sign(started_at: int, head: str | None) -> int:
    found = _TIME.match(head or "")
    return max(started_at, int(found[1])) if found else started_at
