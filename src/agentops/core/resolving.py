"""Looks up names of hosts in a way that never holds the exit: a thread of its own, for which nobody waits."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

REMEMBERED_SECONDS: Final = 60.0

AddressInfo = tuple[socket.AddressFamily, tuple[Any, ...]]


class Resolver:
    """One name. `loop.getaddrinfo` uses threads that a process waits for when it ends, for as long as they hang."""

    def __init__(self, host: str, port: int, kind: socket.SocketKind) -> None:
        self._host = host
        self._port = port
        self._kind = kind
        self._known: Sequence[AddressInfo] = ()
        self._known_until = 0.0
        self._asked: asyncio.Future[Sequence[AddressInfo]] | None = None

    async def addresses(self) -> Sequence[AddressInfo]:
        """All there are, in the order in which to try them; raises `OSError`. Whoever tires of waiting may cancel."""
        if time.monotonic() >= self._known_until:
            self._known = await self._look_up()
            self._known_until = time.monotonic() + REMEMBERED_SECONDS
        return self._known

    async def _look_up(self) -> Sequence[AddressInfo]:
        if _is_address(self._host):
            return self._addresses()
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._ask, args=(self._asked,), name="agentops resolver", daemon=True).start()
        return await asyncio.shield(self._asked)

    def _ask(self, asked: asyncio.Future[Sequence[AddressInfo]]) -> None:
        try:
            found = self._addresses()
        except OSError as error:
            _settle(asked, error)
        else:
            _settle(asked, found)

    def _addresses(self) -> Sequence[AddressInfo]:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=self._kind)
        except UnicodeError as error:
            raise socket.gaierror(socket.EAI_NONAME, "no host can have this name") from error
        return [(family, address) for family, _, _, _, address in found]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _settle(asked: asyncio.Future[Sequence[AddressInfo]], outcome: Sequence[AddressInfo] | OSError) -> None:
    """From the thread; the loop may have ended meanwhile."""

    def settle() -> None:
        if asked.done():
            return
        if isinstance(outcome, OSError):
            asked.set_exception(outcome)
            asked.exception()  # whoever asked may be gone
        else:
            asked.set_result(outcome)

    with suppress(RuntimeError):
        asked.get_loop().call_soon_threadsafe(settle)
