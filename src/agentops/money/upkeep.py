"""What goes on beside the calls: holds are renewed, those of the dead are given back, old calls are forgotten."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agentops.core.ports.storage import Statement
from agentops.core.records import DAY_MS, now_ms
from agentops.money import statements

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agentops.core.eventlog import EventLog
    from agentops.core.ports.storage import Storage
    from agentops.money.line import Lines
    from agentops.money.living import Living

RENEWED_AT_ONCE: Final = 64
SWEPT_AT_ONCE: Final = 500
FORGOTTEN_AT_ONCE: Final = 1_000
FORGET_SECONDS: Final = 600.0

_EXPIRED: Final = "SELECT call, purse FROM holds WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
_FORGET: Final = """
    DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE at < ? ORDER BY at LIMIT ?) RETURNING id
"""


class Upkeep:
    """The steps of every instance; each rests at its end."""

    def __init__(
        self,
        storage: Storage[Any],
        events: EventLog,
        living: Mapping[str, Living],
        lines: Lines,
        *,
        hold_seconds: float,
        keep_days: int,
    ) -> None:
        self._storage = storage
        self._events = events
        self._living = living
        self._lines = lines
        self._hold_ms = int(hold_seconds * 1000)
        self._rest_seconds = hold_seconds / 3
        self._keep_ms = keep_days * DAY_MS

    @property
    def steps(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        steps = {"holds.renewal": self._renew_and_rest, "holds.sweep": self._sweep_and_rest}
        if self._keep_ms:
            steps["calls.ageing"] = self._forget_and_rest
        return steps

    async def renew(self) -> None:
        """Move the end of holds that have lived for a third of their time."""
        end = now_ms() + self._hold_ms
        due = [call for call, each in self._living.items() if end - each.expires_at >= self._hold_ms / 3]
        for start in range(0, len(due), RENEWED_AT_ONCE):
            calls = due[start : start + RENEWED_AT_ONCE]
            padded = calls + calls[-1:] * (RENEWED_AT_ONCE - len(calls))
            await self._events.change([Statement(statements.renew(RENEWED_AT_ONCE), [end, *padded])], lasting=False)
            for call in calls:
                if call in self._living:
                    self._living[call].expires_at = end

    async def sweep(self) -> int:
        """Give back what has expired, whoever held it; return how many calls that was."""
        swept = 0
        while rows := await self._storage.read_rows(_EXPIRED, now_ms(), SWEPT_AT_ONCE):
            purses: dict[str, list[str]] = defaultdict(list)
            for call, purse in rows:
                purses[call].append(purse)
            for call, held in purses.items():
                with suppress(statements.Renewed):
                    await self._events.change(statements.sweep(call, held, now_ms()), lasting=False)
                    swept += 1
                for purse in held:
                    self._lines.tell(purse)
        return swept

    async def forget(self) -> None:
        """Delete calls that began longer ago than they are kept; what they used stays, added up."""
        oldest = now_ms() - self._keep_ms
        forget = Statement(_FORGET, (oldest, FORGOTTEN_AT_ONCE))
        while (await self._events.change([forget], lasting=False)).rows:
            pass

    async def _renew_and_rest(self) -> None:
        await self.renew()
        await asyncio.sleep(self._rest_seconds)

    async def _sweep_and_rest(self) -> None:
        await self.sweep()
        await asyncio.sleep(self._rest_seconds)

    async def _forget_and_rest(self) -> None:
        await self.forget()
        await asyncio.sleep(FORGET_SECONDS)
