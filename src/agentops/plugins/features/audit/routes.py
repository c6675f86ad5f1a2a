"""The one route of the audit trail: a project's, a page at a time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from litestar import Request, Response, get

from agentops.accounts import audit
from agentops.core.http.answers import json_answer
from agentops.core.http.paging import limit_of, next_page, number_of, query_of
from agentops.core.plugin import NoSettings
from agentops.core.ports.feature import Feature
from agentops.plugins.features.audit import openapi

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from agentops.core.ports.storage import Storage
    from agentops.core.rungs import Rungs

DEFAULT_LIMIT: Final = 100
MOST: Final = 1000

AnyRequest = Request[Any, Any, Any]


class Audit(Feature[NoSettings]):
    """`serve = ["audit"]`: who did what, on what, from where, and how it ended; nobody can change it here."""

    may_be_open: ClassVar = False
    permissions: ClassVar = {"audit:read": "read the audit trail of one's project"}

    _storage: Storage

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._storage = rungs.storage
        yield

    def routes(self) -> Sequence[object]:
        return [get("/audit", opt={"permission": "audit:read"}, **openapi.LIST)(self.list_entries)]

    async def list_entries(self, request: AnyRequest) -> Response[bytes]:
        asked = query_of(request)
        limit = limit_of(asked, DEFAULT_LIMIT, MOST)
        wanted = audit.Filter(
            limit=limit + 1,
            before=number_of(asked, "before", "the id of an entry", "invalid_cursor"),
            actor=asked.get("actor") or None,
            action=asked.get("action") or None,
            target=asked.get("target") or None,
            outcome=asked.get("outcome") or None,
            since=number_of(asked, "since", "a time in epoch milliseconds", "invalid_time"),
            until=number_of(asked, "until", "a time in epoch milliseconds", "invalid_time"),
        )
        entries = await audit.page(self._storage, request.user.project, wanted)
        headers = next_page(request, before=entries[limit - 1].id) if len(entries) > limit else {}
        return json_answer(entries[:limit], headers=headers)
