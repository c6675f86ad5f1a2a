"""The outbox: what is to be delivered, in order for each webhook, until it is or a day has passed.

A row is there as soon as what it tells of is, in the same transaction; so nothing is lost by whatever ends this
process, and what was sent but not noted is sent again: at least once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import msgspec
from sqlalchemy import insert, or_, select, text, update

from agentops.core.errors import Conflict, NotFound
from agentops.core.records import DAY_MS, now_ms
from agentops.sql.tables import deliveries, webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, RowMapping

    from agentops.core.ports.storage import Storage
    from agentops.plugins.features.webhooks.kinds import Kind
    from agentops.plugins.features.webhooks.subscriptions import Webhook

State = Literal["waiting", "delivered", "parked"]
STATES: Final[tuple[State, ...]] = get_args(State)

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DELAYS: Final = (
    5,
    30,
    2 * MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    6 * HOUR,
    10 * HOUR,
)
"""Seconds after each failed attempt; a day in all."""

CLAIM_MS: Final = 30_000
"""For how long a process has a webhook for itself; much longer than one attempt takes."""
LOG_MOST: Final = 20
FORGOTTEN_AT_ONCE: Final = 2_000
"""Rows deleted in one transaction: few enough that nothing else that is stored waits long for it."""
ONCE_MS: Final = 400 * DAY_MS
"""For how long it is known what was told once: for longer than any key lives, however short lists are."""

_TELL: Final = """
    INSERT INTO deliveries (webhook, kind, data, at, once)
    SELECT webhooks.id, CAST(:kind AS TEXT), CAST(:data AS TEXT), CAST(:at AS BIGINT), CAST(:once AS TEXT)
    FROM webhooks WHERE webhooks.disabled_at IS NULL AND webhooks.kinds LIKE '%"' || CAST(:kind AS TEXT) || '"%'
    AND (CAST(:project AS TEXT) IS NULL OR webhooks.project = CAST(:project AS TEXT))
    ON CONFLICT (webhook, once) WHERE once IS NOT NULL DO NOTHING
"""
_FORGET: Final = """
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE state <> 'waiting' AND once IS NULL AND at < :before LIMIT :most
    )
"""
_FORGET_ONCE: Final = _FORGET.replace("once IS NULL", "once IS NOT NULL")


class Notice(NamedTuple):
    """What is told: in a project, or in all; with `once`, to nobody a second time."""

    kind: Kind
    data: Mapping[str, object]
    project: str | None = None
    once: str | None = None


class Attempt(msgspec.Struct, frozen=True):
    """One try: when, how long it took, and its status, or why there was none."""

    at: int
    ms: float
    status: int | None = None
    error: str | None = None

    @property
    def is_delivered(self) -> bool:
        return self.error is None


class Delivery(NamedTuple):
    """One message for one webhook, and what became of it."""

    id: int
    webhook: str
    kind: str
    data: str
    at: int
    state: State
    attempts: int
    tried_at: int | None
    log: Sequence[Attempt]

    def is_due(self, now: int) -> bool:
        """Whether the pause after the last attempt is over; a clock that jumps makes none endless."""
        return self.tried_at is None or abs(now - self.tried_at) >= DELAYS[self.attempts - 1] * 1000

    def state_after(self, now: int, *, is_delivered: bool) -> State:
        """What it is once one more attempt was made."""
        if is_delivered:
            return "delivered"
        return "parked" if self.attempts >= len(DELAYS) or now - self.at >= DAY_MS else "waiting"


class Outbox:
    """The deliveries in one storage, as one process sees and claims them."""

    def __init__(self, storage: Storage[Any], process: str) -> None:
        self._storage = storage
        self._process = process

    async def tell(self, notices: Sequence[Notice]) -> None:
        """Put them out for whoever subscribed."""
        values = [{**notice._asdict(), "data": _written(notice.data), "at": now_ms()} for notice in notices]
        if values:
            async with self._storage.write() as connection:
                await connection.execute(text(_TELL), values)

    async def heads(self) -> Sequence[Delivery]:
        """The first that waits, of each webhook that is enabled."""
        waiting = deliveries.alias()
        first = (
            select(waiting.c.id)
            .where(waiting.c.webhook == webhooks.c.id, waiting.c.state == "waiting")
            .order_by(waiting.c.id)
            .limit(1)
            .correlate(webhooks)
            .scalar_subquery()
        )
        heads = select(deliveries).join_from(webhooks, deliveries, deliveries.c.id == first)
        async with self._storage.read() as connection:
            found = await connection.execute(heads.where(webhooks.c.disabled_at.is_(None)))
            return [_delivery(row) for row in found.mappings()]

    async def claim(self, webhook: str) -> bool:
        """Have it for this process, anew or for longer; one that died, or whose clock jumped, has it no more."""
        now = now_ms()
        lapsed: ColumnElement[bool] = or_(
            webhooks.c.claimed_by.is_(None),
            webhooks.c.claimed_by == self._process,
            ~webhooks.c.claimed_at.between(now - CLAIM_MS, now + CLAIM_MS),
        )
        claim = update(webhooks).where(webhooks.c.id == webhook, webhooks.c.disabled_at.is_(None), lapsed)
        async with self._storage.write() as connection:
            claimed = await connection.execute(claim.values(claimed_by=self._process, claimed_at=now))
        return bool(claimed.rowcount)

    async def release(self, webhook: str | None = None) -> None:
        """Let others have it, or all that this process claimed."""
        mine = update(webhooks).where(webhooks.c.claimed_by == self._process)
        if webhook is not None:
            mine = mine.where(webhooks.c.id == webhook)
        async with self._storage.write() as connection:
            await connection.execute(mine.values(claimed_by=None, claimed_at=None))

    async def first(self, webhook: str) -> Delivery | None:
        """The first that waits for it."""
        mine = (deliveries.c.webhook == webhook, deliveries.c.state == "waiting")
        async with self._storage.read() as connection:
            query = select(deliveries).where(*mine).order_by(deliveries.c.id).limit(1)
            row = (await connection.execute(query)).mappings().first()
        return _delivery(row) if row is not None else None

    async def note(self, delivery: Delivery, attempt: Attempt, state: State) -> None:
        """Keep what became of an attempt; nothing of one that another process made again meanwhile."""
        mine = (
            deliveries.c.id == delivery.id,
            deliveries.c.state == "waiting",
            deliveries.c.attempts == delivery.attempts,
        )
        values = {
            "state": state,
            "attempts": delivery.attempts + 1,
            "tried_at": attempt.at,
            "log": _log([*delivery.log, attempt]),
        }
        async with self._storage.write() as connection:
            await connection.execute(update(deliveries).where(*mine).values(values))

    async def keep_test(self, webhook: Webhook, data: str, attempt: Attempt) -> None:
        """List what was sent outside of the line, and is not tried again."""
        row = {
            "webhook": webhook.id,
            "kind": "test",
            "data": data,
            "at": attempt.at,
            "state": "delivered" if attempt.is_delivered else "parked",
            "attempts": 1,
            "tried_at": attempt.at,
            "log": _log([attempt]),
        }
        async with self._storage.write() as connection:
            await connection.execute(insert(deliveries), row)

    async def page(self, webhook: Webhook, limit: int, before: int | None, state: State | None) -> Sequence[Delivery]:
        """The newest first."""
        query = select(deliveries).where(deliveries.c.webhook == webhook.id)
        if before is not None:
            query = query.where(deliveries.c.id < before)
        if state is not None:
            query = query.where(deliveries.c.state == state)
        async with self._storage.read() as connection:
            found = await connection.execute(query.order_by(deliveries.c.id.desc()).limit(limit))
            return [_delivery(row) for row in found.mappings()]

    async def again(self, webhook: Webhook, delivery: int) -> None:
        """Let it wait once more, parked or delivered, in its old place."""
        mine = (deliveries.c.webhook == webhook.id, deliveries.c.id == delivery)
        async with self._storage.write() as connection:
            kind = (await connection.execute(select(deliveries.c.kind).where(*mine))).scalar()
            if kind is None:
                raise NotFound("there is no such delivery")
            if kind == "test":
                raise Conflict("a test is not sent again: send another", code="is_a_test")
            await connection.execute(update(deliveries).where(*mine).values(state="waiting", attempts=0, tried_at=None))

    async def waiting(self) -> int:
        query = text("SELECT count(*) FROM deliveries WHERE state = 'waiting'")
        async with self._storage.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def forget(self, before: int) -> None:
        """Delete what is done with, as of a time in epoch milliseconds."""
        for statement, bound in ((_FORGET, before), (_FORGET_ONCE, before - ONCE_MS)):
            while await self._forget_some(statement, bound) == FORGOTTEN_AT_ONCE:
                pass

    async def _forget_some(self, statement: str, before: int) -> int:
        async with self._storage.write() as connection:
            gone = await connection.execute(text(statement), {"before": before, "most": FORGOTTEN_AT_ONCE})
        return gone.rowcount


def _delivery(row: RowMapping) -> Delivery:
    values: dict[str, Any] = {name: row[name] for name in Delivery._fields}
    values["log"] = msgspec.json.decode(row["log"], type=list[Attempt])
    return Delivery(**values)


def _written(data: Mapping[str, object]) -> str:
    """What a plugin says of its health may be anything; one that cannot be written must not hold up all others."""
    try:
        return msgspec.json.encode(data, enc_hook=repr).decode()
    except (TypeError, ValueError):
        return msgspec.json.encode({"said": ascii(data)}).decode()


def _log(attempts: Sequence[Attempt]) -> str:
    return msgspec.json.encode(attempts[-LOG_MOST:]).decode()
