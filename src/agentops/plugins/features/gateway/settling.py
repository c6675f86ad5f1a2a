"""The end of a call: its events, its charge and its record, in one transaction that is not given up."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agentops.core.errors import Refusal, Unavailable
from agentops.core.serving import apart
from agentops.money.purses import is_money, whose_credits
from agentops.money.records import CallRecord
from agentops.plugins.features.gateway.limits import spends_of
from agentops.plugins.features.gateway.recording import asked_event, ended_events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentops.accounts.own_keys import OwnKeys
    from agentops.core.eventlog import EventLog
    from agentops.core.records import NewEvent
    from agentops.core.signals import Signals
    from agentops.money.records import Outcome
    from agentops.money.till import Till
    from agentops.plugins.features.gateway.call import Call


class Settling:
    """Settles each call once, whatever became of it."""

    def __init__(
        self, events: EventLog, till: Till, signals: Signals, own_keys: OwnKeys | None, *, record: bool
    ) -> None:
        self._events = events
        self._till = till
        self._signals = signals
        self._own_keys = own_keys
        self._record = record

    def tell_asked(self, call: Call) -> None:
        """Tell the run of a call that takes long, while it is under way."""
        if self._record and not call.ended_at:
            call.asking_told = apart(self._told(call), name="agentops telling")

    async def settle(self, call: Call, outcome: Outcome) -> None:
        """Return once it is committed. Whoever is cancelled meanwhile leaves it to the till, which does not give up."""
        call.ended(outcome)
        record = _record_of(call)
        spends = spends_of(call.limits, call.cost, call.usage.input + call.usage.output)
        try:
            call.remaining = await self._settled(record, spends, self._events_of(call))
        except Exception as error:  # noqa: BLE001 - whatever cannot be told of a call, it is charged and holds nothing
            reason = error.message if isinstance(error, Refusal) else type(error).__name__
            self._signals.event("llm.not_recorded", "warning", call=call.id, reason=reason)
            call.remaining = await self._settled(record, spends, [])
        await self._note_own_key(call)
        self._tell(call)

    async def _note_own_key(self, call: Call) -> None:
        """When it was used last; to know it is worth no wait for the disk, and no failure."""
        if self._own_keys is None or not call.own_key:
            return
        used = self._own_keys.used(call.identity.project, call.identity.subject, call.provider)
        if used:
            with suppress(Refusal):
                await self._events.change(used, lasting=False)

    async def _told(self, call: Call) -> bool:
        try:
            await self._events.append(call.identity.project, call.run, [asked_event(call)])
        except Refusal:
            return False
        return True

    async def _settled(self, record: CallRecord, spends: Mapping[str, int], events: Sequence[NewEvent]) -> int | None:
        """What is left of the credits, or else of the budget that has least left; nothing, while it is not known."""
        try:
            appended = await self._till.settle(record, spends, events)
        except Unavailable:
            self._signals.event("llm.settling_late", "warning", call=record.id)
            return None
        rows = () if appended is None else appended.rows
        left = {purse: size - spent for purse, _, size, spent in rows if is_money(purse)}
        return next((left[purse] for purse in left if whose_credits(purse)), min(left.values(), default=None))

    def _events_of(self, call: Call) -> list[NewEvent]:
        """What is told while it lasts stands before this in the queue."""
        if not self._record:
            return []
        told = call.asking_told
        is_told = told is not None and not (told.done() and not told.result())
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
