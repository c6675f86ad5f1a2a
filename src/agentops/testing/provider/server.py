"""A provider of models that answers as the real ones do, and fails as they do when it is told to.

async with FakeProvider() as provider:
    client = openai.AsyncOpenAI(base_url=provider.openai_url, api_key="any")
    provider.fail(Fault(status=429, retry_after=2))
    …
    await provider.idle()
    assert provider.requests[0].fields["model"] == "gpt-4o"
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

from agentops.testing.provider import _anthropic, _openai
from agentops.testing.provider._http import Asked, Line
from agentops.testing.provider._saying import Question, Reply
from agentops.testing.provider._sending import Sending, answer_whole, error_of
from agentops.testing.provider.faults import SOUND, Fault

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from agentops.core.ports.model import Usage
    from agentops.testing.provider._saying import Fields

FIELD: Final = "x_fault"
"""A field of a request that says how this one is to be answered, as an object with the settings of a `Fault`."""
PATIENCE: Final = 10.0
"""Seconds after which whoever waits for something to happen is told that it does not."""

_ANSWERS: Final[Mapping[str, Callable[[Question], Reply]]] = {
    "/v1/chat/completions": _openai.chat,
    "/v1/embeddings": _openai.embeddings,
    "/v1/responses": _openai.responses,
    "/v1/messages": _anthropic.messages,
}
_fields: Final = msgspec.json.Decoder(dict[str, object])


class Request(NamedTuple):
    """One that came."""

    path: str
    headers: Mapping[str, str]
    """The names are in lower case."""
    body: bytes
    fields: Mapping[str, object]


class FakeProvider:
    """Listens on loopback, on a free port, while it is entered."""

    def __init__(
        self,
        *,
        reply: str | None = None,
        usage: Usage | None = None,
        key: str | None = None,
        models: tuple[str, ...] = ("fake-large", "fake-small"),
        always: Fault = SOUND,
        keeps_requests: bool = True,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`reply` is said to everything; without one, what was asked is quoted.

        `usage` is what each answer is said to have used. With a `key`, requests with any other are refused. A server
        for a benchmark had better not keep its requests. With `tls` it is at `localhost`.
        """
        self.reply = reply
        self.usage = usage
        self.key = key
        self.models = models
        self.always = always
        """What stands for requests without a fault of their own."""
        self.of_model: dict[str, Fault] = {}
        """What stands for requests for a model."""
        self.requests: list[Request] = []
        self.left: list[Request] = []
        """Those whose client left before it had the whole answer."""
        self.answered = 0
        self.under_way = 0
        self._keeps_requests = keeps_requests
        self._port = port
        self._tls = tls
        self._count = 0
        self._faults: deque[Fault] = deque()
        self._lines: set[Line] = set()
        self._held = asyncio.Event()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Line(self._serve, self._opened), "127.0.0.1", self._port, ssl=self._tls
        )
        self._port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            for line in tuple(self._lines):
                line.close()
            await self._until(lambda: not self._lines)

    @property
    def url(self) -> str:
        """What Anthropic's clients take as their base URL."""
        return f"http://127.0.0.1:{self._port}" if self._tls is None else f"https://localhost:{self._port}"

    @property
    def openai_url(self) -> str:
        """What OpenAI's clients take as their base URL."""
        return f"{self.url}/v1"

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._lines)

    def fail(self, *faults: Fault) -> None:
        """Answer the next requests so, one each, in this order."""
        self._faults.extend(faults)

    def release(self) -> None:
        """Let all go on that are on hold."""
        held, self._held = self._held, asyncio.Event()
        held.set()

    async def received(self, count: int) -> None:
        """Return once so many requests have come, since the start."""
        await self._until(lambda: self._count >= count)

    async def abandoned(self, count: int) -> None:
        """Return once so many have been left by their client."""
        await self._until(lambda: len(self.left) >= count)

    async def idle(self) -> None:
        """Return once no request is under way."""
        await self._until(lambda: self.under_way == 0)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _opened(self, line: Line, is_open: bool) -> None:
        if is_open:
            self._lines.add(line)
        else:
            self._lines.discard(line)
        self._changed.set()

    async def _serve(self, asked: Asked, line: Line) -> None:
        self._count += 1
        self.under_way += 1
        request = Request(asked.path, asked.headers, asked.body, _fields_of(asked.body))
        if self._keeps_requests:
            self.requests.append(request)
        self._changed.set()
        try:
            await self._answer(asked, request, line)
            self.answered += 1
        except asyncio.CancelledError:
            self.left.append(request)
            raise
        finally:
            self.under_way -= 1
            self._changed.set()

    async def _answer(self, asked: Asked, request: Request, line: Line) -> None:
        fault, held = self._fault_of(request), self._held
        if fault.raw is not None:
            line.raw(fault.raw)
            if not fault.raw_stays:
                line.close()
            return
        await asyncio.sleep(fault.first_byte_seconds)
        streamed = request.fields.get("stream") is True
        if fault.then == "hold" and (not streamed or fault.after == 0):
            await held.wait()
        status, said = self._judged(request, fault)
        if said is None:
            question = Question(dict(request.fields), self._count, self.reply, self.usage)
            reply = _ANSWERS[asked.path](question)
            sending = Sending(line, fault, question, asked.path, held.wait)
            await (sending.stream(reply) if streamed else sending.whole(reply))
        else:
            answer_whole(line, status, said, fault)

    def _judged(self, request: Request, fault: Fault) -> tuple[int, Fields | None]:
        """What is answered at once, with its status; nothing if the request is a sound one for an answer."""
        if fault.status:
            return fault.status, error_of(request.path)(fault.status, fault.kind, fault.message)
        if self.key is not None and self.key not in _keys_in(request.headers):
            return 401, error_of(request.path)(401, "", "Incorrect API key provided.")
        if request.path == "/v1/models":
            return 200, _openai.models(self.models)
        if request.path not in _ANSWERS:
            return 404, error_of(request.path)(404, "", f"There is no {request.path} here.")
        if not request.fields:
            return 400, error_of(request.path)(400, "", "The body is no JSON object.")
        return 200, None

    def _fault_of(self, request: Request) -> Fault:
        said = request.fields.get(FIELD)
        if said is not None:
            return msgspec.convert(said, Fault)
        if self._faults:
            return self._faults.popleft()
        return self.of_model.get(str(request.fields.get("model")), self.always)


def _fields_of(body: bytes) -> Mapping[str, object]:
    try:
        return _fields.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _keys_in(headers: Mapping[str, str]) -> set[str]:
    return {headers.get("authorization", "").removeprefix("Bearer "), headers.get("x-api-key", "")}
