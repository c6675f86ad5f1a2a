"""Holds what a call may cost at worst, and settles what it did cost: once, whatever becomes of the call."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from agentops.core.errors import Refusal, TooManyRequests, Unavailable
from agentops.core.forever import PAUSE_SECONDS, ended, in_background
from agentops.core.records import now_ms
from agentops.money import statements
from agentops.money.credits import balance, grant, ledger
from agentops.money.line import POLL_SECONDS, Lines
from agentops.money.living import Living
from agentops.money.purses import is_money, of_credits, whose_credits
from agentops.money.records import Balance
from agentops.money.upkeep import Upkeep
from agentops.money.usage import usage
from agentops.money.wants import Held, PurseState, Want, judged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence

    from agentops.accounts.audit import Origin
    from agentops.core.eventlog import EventLog
    from agentops.core.ports.storage import Appended, Statement, Storage
    from agentops.core.records import NewEvent, Status
    from agentops.core.signals import Signals
    from agentops.money.records import CallRecord, LedgerEntry
    from agentops.money.usage import UsageQuery, UsageRow

OPENED_MOST: Final = 10_000
TRIES: Final = 20
"""How often a purse may change between the refusal and the look at why, before the call is told to come again."""
LEAVING_SECONDS: Final = 2.0


class Till:
    """The purses of one storage, as one instance draws on them; others may do so at the same time."""

    def __init__(
        self,
        storage: Storage[Any],
        events: EventLog,
        signals: Signals,
        hold_seconds: float,
        *,
        keep_days: int = 0,
        starting_credits: int = 0,
        starting_tier: str | None = None,
    ) -> None:
        """A hold that is not renewed for `hold_seconds` is given back. Credits begin with the starting ones."""
        self._storage = storage
        self._events = events
        self._signals = signals
        self._hold_ms = int(hold_seconds * 1000)
        self._start = Balance(starting_credits, 0, 0, starting_tier)
        self._living: dict[str, Living] = {}
        self._lines = Lines()
        self._opened: set[str] = set()
        self._later: set[asyncio.Task[None]] = set()
        self._upkeep = Upkeep(
            storage, events, self._living, self._lines, hold_seconds=hold_seconds, keep_days=keep_days
        )

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[None]:
        """Renew the holds of living calls, and give back what others left behind."""
        async with in_background(self._signals, self._upkeep.steps):
            try:
                yield
            finally:
                if self._later:
                    await asyncio.wait(self._later, timeout=LEAVING_SECONDS)
                await ended(*self._later)

    async def hold(self, call: str, wants: Sequence[Want], wait_seconds: float) -> Mapping[str, int]:
        """Hold of every purse what is wanted of it, or raise the refusal of the first that has no room.

        Return how much is held, by purse: it may be less where a want says what is enough.
        """
        if not wants:
            return {}
        await self._open(wants)
        line = next((want.purse for want in wants if want.waits and want.purse in self._lines), None)
        if line is None:
            blocked = await self._attempt(call, wants)
            line = blocked.purse if blocked is not None else None
        if line is not None:
            await self._wait(call, wants, line, asyncio.get_running_loop().time() + wait_seconds)
        return {purse: held.amount for purse, held in self._living[call].held.items()}

    async def release(self, call: str) -> None:
        """Give everything back at once: nothing was spent. Nothing happens where nothing is held, or it is settled."""
        living = self._living.get(call)
        if living is not None and not living.is_settling:
            del self._living[call]
            await self._give_back(call, [*living.held])

    def settlement(self, record: CallRecord, spends: Mapping[str, int]) -> Sequence[Statement]:
        """What goes with the last events of a call; the append is refused as `AlreadySettled` when it was done before.

        `spends` says what was used of the purses that it holds; `settled` is to be called with what came of it. From
        here on the call can no longer be released.
        """
        living = self._living.get(record.id)
        if living is None:
            return statements.settle(record, {}, {})
        living.is_settling, living.project, living.spends = True, record.project, spends
        return statements.settle(record, living.held, spends)

    def settled(self, call: str, rows: Sequence[Sequence[Any]]) -> None:
        """It is committed, and these are the rows of the append: wake who waits, and tell of budgets used up."""
        living = self._living.pop(call, None)
        if living is None:
            return
        for purse in living.held:
            self._lines.tell(purse)
        for purse, period, size, spent in rows:
            added = living.spends.get(purse, 0) if living.held[purse].period == period else 0
            if spent - added < size <= spent and is_money(purse):
                self._signals.event("budget.reached", "warning", purse=purse, size=size, project=living.project)

    async def settle(
        self,
        record: CallRecord,
        spends: Mapping[str, int],
        events: Sequence[NewEvent] = (),
        status: Status | None = None,
    ) -> Appended | None:
        """Append the events to the call's run and settle it, in one transaction; nothing, if that was done before.

        When this is cancelled, or raises because the storage is away, it is tried again until it is done; then
        without the events, should these be refused. Another refusal is for whoever called to answer.
        """
        try:
            return await self._settle(record, spends, events, status)
        except (asyncio.CancelledError, Unavailable):
            self._do_later(self._settle_at_last(record, spends, events, status))
            raise

    async def balance(self, project: str, subject: str) -> Balance:
        """Of somebody who never had any: what everybody starts with."""
        return await balance(self._storage, project, subject) or self._start

    async def grant(
        self, origin: Origin, subject: str, amount: int, note: str = "", tier: str | None = None
    ) -> Balance:
        """Give credits, or take back what is neither spent nor held."""
        granted = await grant(self._storage, origin, subject, amount, note=note, tier=tier)
        self._lines.tell(of_credits(origin.project, subject))
        return granted

    async def ledger(self, project: str, subject: str, limit: int, before: int | None = None) -> Sequence[LedgerEntry]:
        """Newest first; `before` is the id of the last one seen."""
        return await ledger(self._storage, project, subject, limit, before)

    async def usage(self, query: UsageQuery) -> Sequence[UsageRow]:
        return await usage(self._storage, query)

    async def _open(self, wants: Sequence[Want]) -> None:
        for want in wants:
            if want.size is not None or want.purse in self._opened:
                continue
            if whose_credits(want.purse) is not None:
                opening = statements.open_credits(want.purse, self._start.allocated, self._start.tier)
                with suppress(statements.AlreadyOpen):
                    await self._events.change(opening, lasting=False)
            if len(self._opened) >= OPENED_MOST:
                self._opened.clear()
            self._opened.add(want.purse)

    async def _wait(self, call: str, wants: Sequence[Want], line: str, deadline: float) -> None:
        """In the line of the purse that has no room now; in that of another, if it is another then."""
        now = asyncio.get_running_loop().time
        with suppress(TimeoutError):
            while now() < deadline:
                async with self._lines.at_head(line, deadline) as news:
                    blocked = await self._attempt(call, wants)
                    while blocked is not None and blocked.purse == line and now() < deadline:
                        with suppress(TimeoutError):
                            async with asyncio.timeout_at(min(deadline, now() + POLL_SECONDS)):
                                await news.wait()
                        news.clear()
                        blocked = await self._attempt(call, wants)
                if blocked is None:
                    return
                line = blocked.purse
        raise _busy("calls under way hold what is left of this limit, and did not end in time: try again")

    async def _attempt(self, call: str, wants: Sequence[Want]) -> Want | None:
        """Hold all of it, or return the first want that has to wait."""
        for _ in range(TRIES):
            if await self._hold(call, wants):
                return None
            states = await self._states(wants)
            verdicts = [judged(want, states) for want in wants]
            for want, verdict in zip(wants, verdicts, strict=True):
                if verdict.outcome == "never":
                    if want.purse not in states:
                        self._opened.discard(want.purse)
                    raise want.refusal()
            for want, verdict in zip(wants, verdicts, strict=True):
                if verdict.outcome == "wait":
                    return want
            wants = [want._replace(amount=verdict.amount) for want, verdict in zip(wants, verdicts, strict=True)]
        raise _busy("too many calls draw on this limit at once: try again")

    async def _hold(self, call: str, wants: Sequence[Want]) -> bool:
        expires_at = now_ms() + self._hold_ms
        purses = [want.purse for want in wants]
        try:
            await self._events.change(statements.hold(call, wants, expires_at), lasting=False)
        except statements.NoRoom:
            return False
        except asyncio.CancelledError:
            self._do_later(self._give_back(call, purses))  # it may stand in the queue: this stands behind it
            raise
        except Unavailable as refusal:
            if refusal.code == "outcome_unknown":
                self._do_later(self._give_back(call, purses))
            raise
        held = {want.purse: Held(want.period, want.amount) for want in wants}
        self._living[call] = Living(held, expires_at)
        return True

    async def _states(self, wants: Sequence[Want]) -> Mapping[str, PurseState]:
        rows = await self._storage.read_rows(statements.states(len(wants)), *(want.purse for want in wants))
        return {row[0]: PurseState(*row[1:]) for row in rows}

    async def _give_back(self, call: str, purses: Sequence[str]) -> None:
        """Where the storage is away, it is given back once the hold has expired."""
        try:
            with suppress(Unavailable):
                await self._events.change(statements.release(call, purses), lasting=False)
        finally:
            for purse in purses:
                self._lines.tell(purse)

    async def _settle(
        self, record: CallRecord, spends: Mapping[str, int], events: Sequence[NewEvent], status: Status | None
    ) -> Appended | None:
        settlement = self.settlement(record, spends)
        try:
            if events or status is not None:
                appended = await self._events.append(record.project, record.run, events, status, settlement)
            else:
                appended = await self._events.change(settlement)
        except statements.AlreadySettled:
            self.settled(record.id, ())
            return None
        self.settled(record.id, appended.rows)
        return appended

    async def _settle_at_last(
        self, record: CallRecord, spends: Mapping[str, int], events: Sequence[NewEvent], status: Status | None
    ) -> None:
        while True:
            try:
                await self._settle(record, spends, events, status)
            except Unavailable as error:
                self._signals.event("settlement.postponed", "warning", reason=error.message, call=record.id)
                await asyncio.sleep(PAUSE_SECONDS)
            except Refusal as error:
                self._signals.event("settlement.refused", "error", reason=error.message, call=record.id)
                if not events and status is None:
                    self._living.pop(record.id, None)  # its hold is renewed no more, and swept
                    return
                events, status = (), None  # the charge is not to be lost with what cannot be told
            else:
                return

    def _do_later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="agentops money")
        self._later.add(task)
        task.add_done_callback(self._later.discard)


def _busy(message: str) -> TooManyRequests:
    return TooManyRequests(message, code="limit_held", headers={"Retry-After": "1"})
