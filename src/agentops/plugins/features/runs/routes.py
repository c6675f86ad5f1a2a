"""The routes of runs and events, as `wire.md` has them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from litestar import Request, Response, get, patch, post
from litestar.params import FromPath

from agentops.core.errors import BadRequest, NotFound
from agentops.core.http.answers import Answer, json_answer
from agentops.core.http.bodies import decode_json, media_type_of, read_body, read_json, require_json
from agentops.core.http.express import EXPRESS
from agentops.core.http.gate import context_of
from agentops.core.http.paging import limit_of, next_page, query_of
from agentops.core.http.sse import EventStream
from agentops.core.plugin import NoSettings
from agentops.core.ports.feature import Feature
from agentops.core.ports.storage import RunQuery
from agentops.core.records import EventSplicer, StoredEvent, default_title, now_ms
from agentops.plugins.features.runs import incoming, openapi

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from agentops.core.eventlog import EventLog
    from agentops.core.ports.storage import FeedItem, Storage
    from agentops.core.rungs import Rungs
    from agentops.core.signals import Signals
    from agentops.plugins.features.runs.incoming import IncomingEvent

DEFAULT_LIMIT = 500
MOST = 1000
NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

AnyRequest = Request[Any, Any, Any]


class Runs(Feature[NoSettings]):
    """`serve = ["runs"]`: record runs and events, list, replay and stream them."""

    permissions: ClassVar = {
        "runs:read": "see runs and their events, and follow them live",
        "runs:write": "record runs and events, and change them",
    }

    _events: EventLog
    _storage: Storage
    _signals: Signals

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._events, self._storage, self._signals = rungs.events, rungs.storage, rungs.signals
        yield

    def routes(self) -> Sequence[object]:
        read, write = {"permission": "runs:read"}, {"permission": "runs:write"}
        return [
            post("/runs", opt=write, **openapi.CREATE_RUN)(self.create_run),
            get("/runs", opt=read, **openapi.LIST_RUNS)(self.list_runs),
            get("/runs/{run_id:str}", opt=read, **openapi.GET_RUN)(self.get_run),
            patch("/runs/{run_id:str}", opt=write, **openapi.CHANGE_RUN)(self.change_run),
            post("/runs/{run_id:str}/events", opt={**write, EXPRESS: True}, **openapi.APPEND_EVENTS)(
                self.append_events
            ),
            get("/runs/{run_id:str}/events", opt=read, **openapi.LIST_EVENTS)(self.list_events),
            get("/runs/{run_id:str}/stream", opt={**read, EXPRESS: True}, **openapi.STREAM_RUN)(self.stream_run),
            get("/events", opt=read, **openapi.LIST_FEED)(self.list_feed),
            get("/stream", opt={**read, EXPRESS: True}, **openapi.STREAM_FEED)(self.stream_feed),
        ]

    async def create_run(self, request: AnyRequest) -> Response[bytes]:
        body = await read_json(request)
        wanted = decode_json(incoming.run_decoder, body or b"{}")
        name = incoming.made_name() if wanted.id is None else incoming.run_name(wanted.id)
        title = incoming.checked_title(wanted.title) or default_title(name)
        status = incoming.checked_status(wanted.status) or "running"
        run, is_new = await self._storage.create_run(request.user.project, name, title, status)
        if is_new and status != "running":
            self._signals.count("runs.changed", status=status)
        return json_answer(run, 201 if is_new else 200)

    async def list_runs(self, request: AnyRequest) -> Response[bytes]:
        asked = query_of(request)
        limit = limit_of(asked, DEFAULT_LIMIT, MOST)
        status = incoming.checked_status(asked.get("status") or None)
        query = RunQuery(limit + 1, asked.get("before") or None, status, asked.get("q") or None)
        runs = await self._storage.list_runs(request.user.project, query)
        headers = next_page(request, before=runs[limit - 1].id) if len(runs) > limit else {}
        return json_answer(runs[:limit], headers=headers)

    async def get_run(self, request: AnyRequest, run_id: FromPath[str]) -> Response[bytes]:
        run = await self._storage.get_run(request.user.project, incoming.run_name(run_id))
        if run is None:
            raise NotFound
        return json_answer(run)

    async def change_run(self, request: AnyRequest, run_id: FromPath[str]) -> Response[bytes]:
        change = decode_json(incoming.change_decoder, await read_json(request))
        title, status = incoming.checked_title(change.title), incoming.checked_status(change.status)
        run = await self._storage.update_run(request.user.project, incoming.run_name(run_id), title, status)
        if run is None:
            raise NotFound
        if status is not None:
            self._signals.count("runs.changed", status=status)
        return json_answer(run)

    async def append_events(self, request: AnyRequest, run_id: FromPath[str]) -> Response[bytes]:
        run = incoming.run_name(run_id)
        body = await read_body(request, context_of(request.scope).max_body)
        media_type = media_type_of(request)
        if media_type in NDJSON:
            return await self._append_many(request, run, incoming.event_lines(body))
        require_json(media_type)
        if body.lstrip()[:1] == b"[":
            return await self._append_many(request, run, incoming.many_events(body))
        event = incoming.one_event(body)
        new = incoming.to_store(event, now_ms())
        appended = await self._events.append(request.user.project, run, [new], incoming.CLOSING.get(event.type))
        stored = StoredEvent(appended.ids[0], appended.repeats.get(0, new.body))
        return Answer(EventSplicer(run).json(stored).encode(), 201)

    async def _append_many(self, request: AnyRequest, run: str, events: Sequence[IncomingEvent]) -> Response[bytes]:
        if not events:
            raise BadRequest("there is no event in the body", code="no_events")
        now = now_ms()
        new = [incoming.to_store(event, now) for event in events]
        status = incoming.closing_status(events)
        ids = (await self._events.append(request.user.project, run, new, status)).ids
        return json_answer({"count": len(ids), "first": str(ids[0]), "last": str(ids[-1])}, 201)

    async def list_events(self, request: AnyRequest, run_id: FromPath[str]) -> Response[bytes]:
        asked = query_of(request)
        limit = limit_of(asked, DEFAULT_LIMIT, MOST)
        after = incoming.event_cursor(asked.get("after")) or 0
        run = incoming.run_name(run_id)
        events, more = await self._events.page(request.user.project, run, after, limit)
        headers = next_page(request, after=str(events[-1].id)) if more else {}
        return Answer(f"[{','.join(map(EventSplicer(run).json, events))}]".encode(), headers=headers)

    async def stream_run(self, request: AnyRequest, run_id: FromPath[str]) -> Response[bytes]:
        run, after = incoming.run_name(run_id), incoming.event_cursor(_resume_point(request))
        return EventStream(await self._events.follow(request.user.project, run, after), "run")

    async def list_feed(self, request: AnyRequest) -> Response[bytes]:
        asked = query_of(request)
        limit = limit_of(asked, DEFAULT_LIMIT, MOST)
        items, more = await self._events.feed(request.user.project, asked.get("after") or None, limit)
        headers = next_page(request, after=items[-1].cursor) if more else {}
        return Answer(f"[{','.join(map(_feed_json, items))}]".encode(), headers=headers)

    async def stream_feed(self, request: AnyRequest) -> Response[bytes]:
        return EventStream(await self._events.follow_feed(request.user.project, _resume_point(request)), "feed")


def _feed_json(item: FeedItem) -> str:
    return EventSplicer(item.run).json(item.event)


def _resume_point(request: AnyRequest) -> str | None:
    """`Last-Event-ID` wins over `?after=`: a browser sends it when it reconnects, to the address it had at first."""
    for name, value in request.scope["headers"]:
        if name == b"last-event-id" and value.strip():
            return str(value.strip().decode("latin-1"))
    return query_of(request).get("after") or None
