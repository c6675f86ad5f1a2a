"""Whoever is served is told when it has to end, whenever that is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentops.plugins.features.gateway.presence import Ended, Presence

if TYPE_CHECKING:
    from agentops.core.http.asgi import Message


async def never() -> Message:
    return await asyncio.get_running_loop().create_future()


async def test_what_ends_between_two_blocks_ends_the_second() -> None:
    presence = Presence(never, 60, lambda _: None)
    with presence:
        pass
    presence.end("revoked")
    with pytest.raises(Ended) as ended, presence:
        raise AssertionError("it is over")
    presence.close()
    assert ended.value.reason == "revoked"


async def test_a_block_is_cancelled_and_whoever_served_it_is_not() -> None:
    presence = Presence(never, 60, lambda _: None)
    asyncio.get_running_loop().call_soon(presence.end, "stopping")
    with pytest.raises(Ended), presence:
        await asyncio.get_running_loop().create_future()
    presence.close()
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
