"""Cheap readers of server-sent events: each counts its frames, and some also say how old they were."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from bench.client import get
from bench.failed import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.client import Address

_MARK: Final = b"\ndata: "
_SENT: Final = b'"sent":"'
_DIGITS: Final = 19
_AT_ONCE: Final = 64


class Meter:
    """What all readers together have received; wakes who waits for a number of frames."""

    def __init__(self) -> None:
        self.frames = 0
        self.delays: list[float] = []
        self.last_frame_at = 0.0
        self._wanted = 0
        self._reached: asyncio.Future[None] | None = None

    def received(self, frames: int) -> None:
        self.frames += frames
        self.last_frame_at = time.perf_counter()
        if self._reached is not None and self.frames >= self._wanted:
            self._reached.set_result(None)
            self._reached = None

    async def until(self, frames: int) -> None:
        """Return when so many frames have arrived, counted from the beginning."""
        if self.frames < frames:
            self._wanted = frames
            self._reached = asyncio.get_running_loop().create_future()
            await self._reached


class Reader(asyncio.Protocol):
    """One stream. A mark that is cut by two reads is found where they join."""

    def __init__(self, meter: Meter, request: bytes, opening: bytes = b": connected\n\n") -> None:
        """The stream is open when its head is there, and what it opens with."""
        self._meter = meter
        self._request = request
        self._opening = opening
        self._head = self._joint = b""
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        frames = data.count(_MARK) + (self._joint + data[:6]).count(_MARK)
        self._joint = data[-6:] if len(data) > 5 else (self._joint + data)[-6:]
        if frames:
            self._meter.received(frames)
        if not self.opened.done():
            self._look_whether_open(data)

    def _look_whether_open(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        if not self._head.startswith(b"HTTP/1.1 200"):
            self.opened.set_result(False)
        elif self._opening in self._head:
            self._head = b""
            self.opened.set_result(True)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_result(False)


class TimingReader(Reader):
    """Also reads from each frame when its event was sent."""

    _tail = b""

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        super().data_received(data)
        *whole, self._tail = (self._tail + data).split(b"\n\n")
        for frame in whole:
            at = frame.find(_SENT)
            if at >= 0:
                start = at + len(_SENT)
                self._meter.delays.append((now - int(frame[start : start + _DIGITS])) / 1e9)


@asynccontextmanager
async def streaming(address: Address, path: str, count: int, timed_every: int = 1) -> AsyncIterator[Meter]:
    """So many open streams of one path, of which one in `timed_every` looks at the delays; none for 0."""
    meter = Meter()
    readers: list[Reader] = []
    loop = asyncio.get_running_loop()
    request = get(path)
    try:
        for start in range(0, count, _AT_ONCE):
            numbers = range(start, min(count, start + _AT_ONCE))
            kinds = [TimingReader if timed_every and n % timed_every == 0 else Reader for n in numbers]
            opened = [await loop.create_connection(partial(kind, meter, request), *address) for kind in kinds]
            readers += [reader for _, reader in opened]
            async with asyncio.timeout(30):
                if not all(await asyncio.gather(*(reader.opened for reader in readers[start:]))):
                    raise Failed(f"not all of {count} streams could be opened")
        yield meter
    finally:
        for reader in readers:
            reader.transport.close()


async def answered(address: Address, request: bytes, count: int, frames: int, apart: float) -> Sequence[float]:
    """How old the frames of so many streams were that end by themselves, begun so many seconds one after the other."""
    meter = Meter()
    readers: list[TimingReader] = []
    loop = asyncio.get_running_loop()
    try:
        for _ in range(count):
            _, reader = await loop.create_connection(partial(TimingReader, meter, request, b""), *address)
            readers.append(reader)
            await asyncio.sleep(apart)
        if not all(await asyncio.gather(*(reader.opened for reader in readers))):
            raise Failed(f"not all of {count} streams could be opened")
        await meter.until(count * frames)
    finally:
        for reader in readers:
            reader.transport.close()
    return meter.delays
