"""The routes beside the calls: which models there are, what may be spent, and what was."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response

from agentops.core.errors import BadRequest, NotFound
from agentops.core.http.answers import Answer, json_answer
from agentops.core.http.gate import ENCODED_SLASH
from agentops.core.http.paging import limit_of, next_page, number_of, query_of
from agentops.money.usage import COUNTED, Part, UsageQuery
from agentops.plugins.features.gateway.messages import (
    Entry,
    History,
    ListedModel,
    ListedModels,
    UsageReport,
    UsageRow,
    credits_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentops.money.records import LedgerEntry
    from agentops.money.till import Till
    from agentops.money.usage import UsageRow as Used
    from agentops.plugins.features.gateway.settings import ModelSettings

AnyRequest = Request[Any, Any, Any]

GROUPS: Final[dict[str, Part]] = {
    "day": "day",
    "key": "credential",
    "user": "subject",
    "model": "model",
    "provider": "provider",
    "project": "project",
}
"""By what usage may be added up, and how it is called where it is kept."""
DAYS: Final = 30
_CSV: Final = b"text/csv; charset=utf-8"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Figures:
    """Of a gateway that runs."""

    def __init__(self, models: Mapping[str, ModelSettings], till: Till, *, with_credits: bool) -> None:
        self._models = models
        self._till = till
        self._with_credits = with_credits

    def models(self) -> Response[bytes]:
        return json_answer(ListedModels([self._listed(name) for name in self._models]))

    def model(self, model_id: str) -> Response[bytes]:
        name = model_id.replace(ENCODED_SLASH, "/")
        if name not in self._models:
            raise NotFound(f"there is no model {name!r} here", code="model_not_found", param="model")
        return json_answer(self._listed(name))

    async def credits(self, request: AnyRequest) -> Response[bytes]:
        who = request.user
        balance = await self._till.balance(who.project, who.subject)
        return json_answer(credits_of(who.subject, balance, limited=self._with_credits))

    async def history(self, request: AnyRequest) -> Response[bytes]:
        asked = query_of(request)
        limit = limit_of(asked, 100, 1000)
        before = number_of(asked, "before", "the id of an entry", "invalid_cursor")
        found = await self._till.ledger(request.user.project, request.user.subject, limit + 1, before)
        headers = next_page(request, before=str(found[limit - 1].id)) if len(found) > limit else {}
        return json_answer(History([_shown(entry) for entry in found[:limit]]), headers=headers)

    async def usage(self, request: AnyRequest) -> Response[bytes]:
        asked = query_of(request)
        today = datetime.now(UTC).date()
        since = _day(asked, "since", today - timedelta(days=DAYS))
        until = _day(asked, "until", today)
        by = list(dict.fromkeys(name for name in asked.get("by", "day,model").split(",") if name))
        for name in by:
            if name not in GROUPS:
                raise BadRequest(f"`by` names any of {', '.join(GROUPS)}", param="by")
        user = asked.get("user") or None
        if not request.user.may("llm:manage"):
            user = request.user.subject
        query = UsageQuery(
            request.user.project, since.isoformat(), until.isoformat(), user, by=[GROUPS[name] for name in by]
        )
        rows = await self._till.usage(query)
        if asked.get("format") == "csv":
            return Answer(_table(by, rows), media_type=_CSV)
        shown = [_added_up(by, row) for row in rows]
        return json_answer(UsageReport(since.isoformat(), until.isoformat(), shown))

    def _listed(self, name: str) -> ListedModel:
        return ListedModel(name, self._models[name].targets[0].provider)


def _added_up(by: Sequence[str], row: Used) -> UsageRow:
    shown = UsageRow(*row[1:])
    for name, value in zip(by, row.parts.values(), strict=True):
        setattr(shown, name, value)
    return shown


def _shown(entry: LedgerEntry) -> Entry:
    return Entry(
        str(entry.id),
        entry.at,
        entry.kind,
        entry.call,
        entry.amount,
        entry.balance_before,
        entry.balance_after,
        entry.note,
    )


def _day(asked: Mapping[str, str], name: str, default: date) -> date:
    text = asked.get(name)
    if not text:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"`{name}` is a day such as 2026-01-31", param=name) from None


def _table(by: Sequence[str], rows: Sequence[Used]) -> bytes:
    """As spreadsheets read it; a text that they would take for a formula is quoted."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow([*by, *COUNTED])
    for row in rows:
        cells = [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row.parts.values()]
        table.writerow([*cells, *row[1:]])
    return written.getvalue().encode()
