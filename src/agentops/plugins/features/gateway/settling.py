"""The end of a call: its events, its charge and its record, in one transaction that is not given up."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from agentops.core.errors import Refusal, Unavailable
from agentops.core.records import now_ms
from agentops.core.serving import apart
from agentops.money.purses import is_money, whose_credits
from agentops.money.records import CallRecord
from agentops.plugins.features.gateway.limits import spends_of
from agentops.plugins.features.gateway.recording import asked_event, ended_events

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from agentops.core.eventlog import EventLog
    from agentops.core.records import NewEvent
    from agentops.core.signals import Signals
    from agentops.money.till import Till
    from agentops.plugins.features.gateway.call import Call

TOLD_AFTER_SECONDS: Final = 0.05
"""A call that takes longer is told when it begins; a quicker one at its end, in one commit with it."""
WAITED_SECONDS: Final = 5.0
"""How long the end of an answer waits for a database that is away; the charge is not given up then."""


class Settling:
    """Settles each call once, whatever became of it."""

    def __init__(self, events: EventLog, till: Till, signals: Signals, *, record: bool) -> None:
        self._events = events
        self._till = till
        self._signals = signals
        self._record = record
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=WAITED_SECONDS)

    @asynccontextmanager
    async def told_while_it_lasts(self, call: Call) -> AsyncGenerator[None]:
        """Tell the run of a call that takes long, while it is under way."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(TOLD_AFTER_SECONDS, self._tell_asked, call) if self._record else None
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()

    async def settle(self, call: Call) -> None:
        """Return once it is committed, or has waited long enough: then it goes on by itself."""
        call.ended_at = now_ms()
        task = apart(self._settle(call), name="agentops settling")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        done, _ = await asyncio.wait({task}, timeout=WAITED_SECONDS)
        if not done:
            self._signals.event("llm.settling_late", "warning", call=call.id)

    def _tell_asked(self, call: Call) -> None:
        call.asking_told = apart(self._told(call), name="agentops telling")

    async def _told(self, call: Call) -> bool:
        try:
            await self._events.append(call.identity.project, call.run, [asked_event(call)])
        except Refusal:
            return False
        return True

    async def _settle(self, call: Call) -> None:
        record = _record_of(call)
        spends = spends_of(call.limits, call.cost, call.usage.input + call.usage.output)
        events = await self._events_of(call)
        try:
            call.remaining = await self._settled(record, spends, events)
        except Unavailable:
            self._signals.event("llm.settling_late", "warning", call=call.id)  # it is tried again until it is done
        except Refusal as refusal:
            self._signals.event("llm.not_recorded", "warning", call=call.id, reason=refusal.message)
            call.remaining = await self._settled(record, spends, [])
        self._tell(call)

    async def _settled(self, record: CallRecord, spends: Mapping[str, int], events: Sequence[NewEvent]) -> int | None:
        """What is left of the credits, or else of the budget that has least left."""
        appended = await self._till.settle(record, spends, events)
        rows = () if appended is None else appended.rows
        left = {purse: size - spent for purse, _, size, spent in rows if is_money(purse)}
        return next((left[purse] for purse in left if whose_credits(purse)), min(left.values(), default=None))

    async def _events_of(self, call: Call) -> list[NewEvent]:
        if not self._record:
            return []
        is_told = call.asking_told is not None and await call.asking_told
        return [*(() if is_told else (asked_event(call),)), *ended_events(call)]

    def _tell(self, call: Call) -> None:
        labels = {"model": call.question.asked.model, "provider": call.provider or "none"}
        self._signals.count("llm.calls", outcome=call.outcome, **labels)
        self._signals.observe("llm.seconds", (call.ended_at - call.at) / 1000, **labels)
        if call.first_ms is not None:
            self._signals.observe("llm.first.seconds", call.first_ms / 1000, **labels)
        self._signals.count("llm.tokens.read", call.usage.input, **labels)
        self._signals.count("llm.tokens.written", call.usage.output, **labels)
        self._signals.count("llm.cost.micro_dollars", call.cost, **labels)


def _record_of(call: Call) -> CallRecord:
    usage = call.usage
    return CallRecord(
        id=call.id,
        at=call.at,
        project=call.identity.project,
        subject=call.identity.subject,
        credential=call.identity.credential or "",
        api=call.question.api,
        model=call.question.asked.model,
        provider="cache" if call.from_cache else call.provider,
        target=call.target,
        outcome=call.outcome,
        input=usage.input,
        cached=usage.cached,
        written=usage.written,
        output=usage.output,
        estimated=usage.estimated,
        cost=call.cost,
        own_key=call.own_key,
        tries=call.tries,
        first_ms=call.first_ms,
        ms=call.ended_at - call.at,
        run=call.run,
    )
