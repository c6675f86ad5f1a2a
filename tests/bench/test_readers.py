"""The readers of the bench miss no frame and count none twice, however the network cuts what it delivers."""

from __future__ import annotations

import asyncio
import random

import pytest

from bench.client import post
from bench.provider import FRAMES_MORE, Provider
from bench.streams import Meter, Reader, TimingReader, answered

FRAMES = 200
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def answer() -> bytes:
    frames = (b'id: %d\ndata: {"payload":{"sent":"%019d"}}\n\n' % (number, number) for number in range(FRAMES))
    return HEAD + chunk(b": connected\n\n") + b"".join(map(chunk, frames)) + chunk(b": heartbeat 1\n\n")


def pieces(data: bytes, seed: int) -> list[bytes]:
    cuts = sorted(random.Random(seed).sample(range(1, len(data)), 600))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize("kind", [Reader, TimingReader])
@pytest.mark.parametrize("seed", range(5))
async def test_every_frame_is_counted_once(kind: type[Reader], seed: int) -> None:
    meter = Meter()
    reader = kind(meter, b"")
    for piece in pieces(answer(), seed):
        reader.data_received(piece)
    assert meter.frames == FRAMES
    assert await reader.opened
    assert len(meter.delays) == (FRAMES if kind is TimingReader else 0)


async def test_a_refused_stream_is_not_taken_for_an_open_one() -> None:
    reader = Reader(Meter(), b"")
    reader.data_received(b"HTTP/1.1 503 Service Unavailable\r\n\r\n: connected\n\n")
    assert not await reader.opened


async def test_waiting_for_frames_ends_with_the_last_of_them() -> None:
    meter = Meter()
    waiting = asyncio.ensure_future(meter.until(3))
    await asyncio.sleep(0)
    meter.received(2)
    await asyncio.sleep(0)
    assert not waiting.done()
    meter.received(1)
    await waiting


async def test_streams_that_end_by_themselves_are_read_to_their_end() -> None:
    request = post("/v1/chat/completions", '{"stream":true,"max_completion_tokens":3}')
    async with await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0) as provider:
        delays = await answered(provider.sockets[0].getsockname(), request, 4, 3 + FRAMES_MORE, apart=0.001)
    assert len(delays) == 4 * 3
    assert all(0 < delay < 60 for delay in delays)
