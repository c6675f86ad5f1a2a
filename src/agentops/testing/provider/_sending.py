"""How an answer is sent: as it should be, or as its fault wants it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.testing.provider import _anthropic, _openai

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from agentops.testing.provider._http import Line
    from agentops.testing.provider._saying import Fields, Question, Reply
    from agentops.testing.provider.faults import Fault

GARBAGE: Final = b"<html><h1>Bad gateway</h1></html>\n\n"

_JSON: Final = {"Content-Type": "application/json"}
_EVENTS: Final = {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}


def error_of(path: str) -> Callable[[int, str, str], Fields]:
    return _anthropic.error if path == "/v1/messages" else _openai.error


def answer_whole(line: Line, status: int, said: Fields, fault: Fault) -> None:
    body = msgspec.json.encode(said)
    _head(line, status, fault, {**_JSON, "Content-Length": str(len(body))})
    line.raw(body)


class Sending:
    """Of the answer to one request."""

    def __init__(
        self, line: Line, fault: Fault, question: Question, path: str, held: Callable[[], Awaitable[object]]
    ) -> None:
        self._line = line
        self._fault = fault
        self._question = question
        self._error = error_of(path)
        self._held = held

    async def whole(self, reply: Reply) -> None:
        fault, line = self._fault, self._line
        said = _without_usage(reply.whole) if fault.no_usage else reply.whole
        if fault.then == "error":
            said = self._error(500, fault.kind, fault.message)
        elif fault.then == "choice-error":
            said = {**said, "choices": _openai.choice_error(self._question, fault.message)["choices"]}
        body = GARBAGE if fault.then == "garbage" else msgspec.json.encode(said)
        length = len(body)
        if fault.then in {"cut", "broken-json"}:
            body = body[: length // 2]
        _head(line, 200, fault, {**_JSON, "Content-Length": str(length if fault.then == "cut" else len(body))})
        line.raw(body)
        if fault.then == "cut":
            line.close()
        await line.drained()

    async def stream(self, reply: Reply) -> None:
        fault, line = self._fault, self._line
        events = list(_counted_out(reply.events)) if fault.no_usage else reply.events
        before_end = len(events) if reply.done else len(events) - 1
        place_of_fault = before_end if fault.after is None else fault.after
        _head(line, 200, fault, _EVENTS)
        for place, (name, said) in enumerate(events):
            if place == place_of_fault and await self._fail():
                return
            if fault.no_done and place == len(events) - 1 and not reply.done:
                break
            if fault.chunk_seconds:
                await asyncio.sleep(fault.chunk_seconds)
            line.chunk(_event(name, msgspec.json.encode(said)))
            await line.drained()
        if place_of_fault >= len(events) and await self._fail():
            return
        if reply.done and not fault.no_done:
            line.chunk(reply.done)
        line.end_of_chunks()

    async def _fail(self) -> bool:
        """Do what is wrong here; return whether the answer is over with it."""
        fault, line = self._fault, self._line
        if fault.then == "hold":
            await self._held()
        elif fault.then == "cut":
            line.close()
        elif fault.then == "error":
            said = self._error(500, fault.kind, fault.message)
            line.chunk(_event("error" if said.get("type") == "error" else "", msgspec.json.encode(said)))
            line.end_of_chunks()
        elif fault.then == "choice-error":
            line.chunk(_event("", msgspec.json.encode(_openai.choice_error(self._question, fault.message))))
        elif fault.then == "garbage":
            line.chunk(GARBAGE)
            line.end_of_chunks()
        elif fault.then == "broken-json":
            line.chunk(_event("", b'{"id": "half'))
        return fault.then in {"cut", "error", "garbage"}


def _head(line: Line, status: int, fault: Fault, headers: dict[str, str]) -> None:
    later = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    line.head(status, {**headers, **later, **fault.headers})


def _event(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data) if name else b"data: %b\n\n" % data


def _counted_out(events: list[tuple[str, Fields]]) -> Iterator[tuple[str, Fields]]:
    """Without usage, nor the events that have nothing else."""
    for name, said in events:
        if said.get("usage") is None or said.get("choices") != []:
            yield name, _without_usage(said)


def _without_usage(said: Fields) -> Fields:
    kept: dict[str, Any] = {name: value for name, value in said.items() if name != "usage"}
    for name in ("message", "response"):
        if isinstance(kept.get(name), dict):
            kept[name] = _without_usage(kept[name])
    return kept
