"""The passes of a copy: what is new, then what has changed, until the target is as the source is."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, NamedTuple

from agentops.core.errors import Conflict
from agentops.sql.copying.order import APPENDED, EVERY, LEVELLED, SUBSCRIBED, is_numbered
from agentops.sql.copying.reading import pages, require_fit
from agentops.sql.copying.verifying import Checked, verify
from agentops.sql.tables import events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table

    from agentops.sql.copying.sides import Key, Row, Source, Target, Tell

LITTLE: Final = 1_000
"""So few events that came during a pass are left to the next run of the command."""


class Outcome(NamedTuple):
    """`checked` holds every table once the source was held; before that nothing can be said to be equal."""

    copied: int
    left: int
    checked: Sequence[Checked] = ()

    @property
    def is_whole(self) -> bool:
        return bool(self.checked) and not any(each.difference for each in self.checked)


class Copying:
    """One run of the command, on a source that may be served and a target that is not."""

    def __init__(self, source: Source, target: Target, tell: Tell) -> None:
        self._source = source
        self._target = target
        self._tell = tell
        self._places: dict[Table, int] = {}
        self._copied = 0
        self._compared = 0

    async def run(self) -> Outcome:
        """Copy until little is left; with nobody else at the source copy all, verify it and open the target."""
        held = await self._source.hold()
        await self._begin()
        left = await self._pass(held)
        while not held and left > LITTLE:
            before = left
            held = await self._source.hold()
            left = await self._pass(held)
            if left > before / 2:
                break
        if not held:
            return Outcome(self._copied, left)
        outcome = Outcome(self._copied, left, await verify(self._source, self._target, self._tell))
        if outcome.is_whole:
            await self._target.finish()
        return outcome

    async def _begin(self) -> None:
        self._places = dict(await self._target.claim(self._source))
        for table, place in self._places.items():
            newest = await self._source.newest(table)
            if newest < place:
                raise Conflict(
                    f"{self._source.place} has given out {newest:,} ids of {table.name}, and of these {place:,} are "
                    "copied already: it is another database than the copy was begun from, or an older copy of it. "
                    "Name the one that was served last, or begin anew with an empty target"
                )

    async def _pass(self, held: bool) -> int:
        """Return how many events were recorded while it went on."""
        await self._target.refuse_served()
        for table in APPENDED:
            await self._append(table)
        newest = {table: await self._source.newest(table) for table in EVERY if is_numbered(table)}
        tables = (*LEVELLED, SUBSCRIBED) if held else LEVELLED
        await self._target.level(tables, self._fit_page, newest, await self._source.first_run())
        return await self._source.newest(events) - self._places[events]

    async def _append(self, table: Table) -> None:
        """What is there now; what comes meanwhile is for the next pass."""
        upto = await self._source.newest(table)
        doing = f"Copying {table.name}"
        async with aclosing(pages(self._source, table, self._places[table])) as found:
            async for page in found:
                await self._target.append(table, page)
                self._places[table] = page[-1][0]
                self._copied += len(page)
                self._tell(doing, self._places[table], max(upto, self._places[table]))
                if self._places[table] >= upto:
                    break

    async def _fit_page(self, table: Table, after: Key | None) -> Sequence[Row]:
        page = await self._source.page(table, after)
        await require_fit(self._source, table, page)
        self._compared = len(page) if after is None else self._compared + len(page)
        self._tell(f"Comparing {table.name}", self._compared)
        return page
