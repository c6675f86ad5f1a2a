"""Serve a fake provider until told to stop: `python -m agentops.testing.provider`. Its URL is printed first."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import suppress

from agentops.core.ports.model import Usage
from agentops.testing.provider import FakeProvider, Fault


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m agentops.testing.provider", description=__doc__)
    options.add_argument("--port", type=int, default=0, help="0, the default, takes one that is free")
    options.add_argument("--reply", help="what is said to everything")
    options.add_argument("--usage", type=int, nargs=2, metavar=("INPUT", "OUTPUT"), help="what is said to be used")
    options.add_argument("--first-byte-seconds", type=float, default=0.0)
    options.add_argument("--chunk-seconds", type=float, default=0.0)
    said = options.parse_args()
    provider = FakeProvider(
        reply=said.reply,
        usage=Usage(*said.usage) if said.usage else None,
        always=Fault(first_byte_seconds=said.first_byte_seconds, chunk_seconds=said.chunk_seconds),
        keeps_requests=False,
        port=said.port,
    )
    with suppress(ImportError):
        import uvloop

        uvloop.run(_serve(provider))
        return
    asyncio.run(_serve(provider))


async def _serve(provider: FakeProvider) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with provider:
        sys.stdout.write(f"{provider.url}\n")
        sys.stdout.flush()
        await stopping.wait()


main()
