"""Those who wait for room in a purse: first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

POLL_SECONDS: Final = 0.1
"""Calls of other instances end without a word to this one."""


class Lines:
    """A line for each purse that somebody waits for. Only the first of a line asks the storage."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Event]] = {}

    def __contains__(self, purse: str) -> bool:
        return purse in self._waiting

    @asynccontextmanager
    async def at_head(self, purse: str, deadline: float) -> AsyncGenerator[asyncio.Event]:
        """Get in line, and go on when first, or raise `TimeoutError`; what is given is set by news of the purse."""
        news = asyncio.Event()
        line = self._waiting.setdefault(purse, deque())
        line.append(news)
        try:
            async with asyncio.timeout_at(deadline):
                while line[0] is not news:
                    news.clear()
                    await news.wait()
            news.clear()
            yield news
        finally:
            line.remove(news)
            if line:
                line[0].set()
            else:
                del self._waiting[purse]

    def tell(self, purse: str) -> None:
        """There may be room in this purse."""
        line = self._waiting.get(purse)
        if line:
            line[0].set()
