"""`python -m bench.provider`: a provider of models that answers at once and does no more than that.

A process of its own, so that what is measured beside it is the gateway alone. It prints its port, and serves until it
is terminated.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final, cast

import uvloop

PAUSE_SECONDS: Final = 0.02
"""Between two chunks of an answer that is streamed."""
FRAMES_MORE: Final = 2
"""Of a stream, behind its chunks of text: the usage, and the end."""

_LENGTH: Final = b"Content-Length: "
_STREAMED: Final = b'"stream":true'
_USAGE: Final = '{"prompt_tokens":21,"completion_tokens":34,"total_tokens":55}'
_ID: Final = '"id":"chatcmpl-bench","created":1767225600,"model":"small"'
_TEXT: Final = "an answer of ordinary length, which says little but is about as long as one to a short question "
_WHOLE: Final = (
    f'{{{_ID},"object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"{_TEXT}"}},'
    f'"finish_reason":"stop"}}],"usage":{_USAGE}}}'
).encode()
_ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_WHOLE),
    _WHOLE,
)
_STREAM: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNK: Final = (
    f'data: {{{_ID},"object":"chat.completion.chunk","choices":[{{"index":0,"delta":{{"content":" word"}},'
    f'"finish_reason":%b}}],"sent":"%019d"}}\n\n'
).encode()
_END: Final = (
    f'data: {{{_ID},"object":"chat.completion.chunk","choices":[],"usage":{_USAGE}}}\n\ndata: [DONE]\n\n'.encode()
)


class Provider(asyncio.Protocol):
    """One connection, kept alive, on which one question is asked at a time."""

    def __init__(self) -> None:
        self._unread = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        head_end = data.find(b"\r\n\r\n")
        if head_end < 0 or len(data) < head_end + 4 + _length(data, head_end):
            self._unread = data
            return
        self._unread = b""
        if _STREAMED in data:
            self._transport.write(_STREAM)
            self._write_chunk(_asked_chunks(data[head_end + 4 :]))
        else:
            self._transport.write(_ANSWER)

    def _write_chunk(self, left: int) -> None:
        """Each says when it was written, by the clock that all processes of a machine share."""
        if self._transport.is_closing():
            return
        if not left:
            self._transport.write(_framed(_END) + _framed(b""))
            return
        self._loop.call_later(PAUSE_SECONDS, self._write_chunk, left - 1)
        self._transport.write(_framed(_CHUNK % (b'"stop"' if left == 1 else b"null", time.perf_counter_ns())))


def _length(data: bytes, head_end: int) -> int:
    start = data.index(_LENGTH, 0, head_end) + len(_LENGTH)
    return int(data[start : data.index(b"\r", start)])


def _asked_chunks(body: bytes) -> int:
    asked: dict[str, Any] = json.loads(body)
    chunks: int = asked["max_completion_tokens"]
    return chunks


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
