"""One provider, as those who ask it see it: a path, a body, and what comes back."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from agentops._version import __version__
from agentops.core.ports.model import ModelFault, ModelLost
from agentops.core.resolving import Resolver
from agentops.outgoing.connection import Connection
from agentops.outgoing.exchange import Exchange, Limits
from agentops.outgoing.headers import is_fit
from agentops.outgoing.place import place_of
from agentops.outgoing.pool import Pool
from agentops.outgoing.trust import trusting_authorities

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from types import TracebackType

    from agentops.core.resolving import AddressInfo
    from agentops.outgoing.settings import ProviderSettings

UNFIT_STATUS: Final = 400


class Upstream:
    """Asks where the configuration says, and nowhere else: no redirect is followed and no proxy of the environment."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._place = place_of(settings.base_url.rstrip("/"))
        self._resolver = Resolver(self._place.host, self._place.port, socket.SOCK_STREAM)
        self._heads: dict[str, bytes] = {}
        self._tls: ssl.SSLContext | None = None
        self._pool: Pool | None = None

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[None]:
        settings = self._settings
        if self._place.tls:
            self._tls = await asyncio.to_thread(trusting_authorities, settings.authorities)
        self._pool = Pool(self._connect, settings.connections, settings.connect_seconds)
        try:
            yield
        finally:
            self._pool.close()
            self._pool = None

    @property
    def under_way(self) -> int:
        """How many calls there are now."""
        return self._pool.under_way if self._pool is not None else 0

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Call:
        """Enter what this returns to send it: `async with upstream.post(…) as answer`.

        Leaving it before the answer is whole cuts the provider off at once.
        """
        if self._pool is None:
            raise RuntimeError("the provider is not started: enter `life()`")
        return Call(self._pool, [self._head(path, headers, len(body)), body], self._settings)

    def _head(self, path: str, headers: Mapping[str, str], length: int) -> bytes:
        fixed = self._heads.get(path)
        if fixed is None:
            fixed = self._heads[path] = self._fixed_head(path)
        for name, value in headers.items():
            if not is_fit(name, value):
                raise ModelFault(f"what was given for the header {name!r} cannot be sent", UNFIT_STATUS)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        return fixed + f"{lines}Content-Length: {length}\r\n\r\n".encode("ascii")

    def _fixed_head(self, path: str) -> bytes:
        said = {
            "Host": self._place.authority,
            "User-Agent": f"agentops/{__version__}",
            "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            **{name: value.reveal() for name, value in self._settings.headers.items()},
        }
        lines = [f"POST {self._place.path.rstrip('/')}{path} HTTP/1.1", *(f"{name}: {said[name]}" for name in said)]
        return "".join(f"{line}\r\n" for line in lines).encode("ascii")

    async def _connect(self) -> Connection:
        seconds = self._settings.connect_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._connect_to_first(await self._resolver.addresses())
        except TimeoutError:
            raise ModelLost(f"there was no connection to the provider within {seconds:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise ModelLost(f"the provider's certificate is not to be trusted: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise ModelLost(f"TLS with the provider failed: {error.reason or type(error).__name__}") from error
        except socket.gaierror as error:
            raise ModelLost("the provider's host cannot be found") from error
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise ModelLost(f"the provider cannot be reached: {reason}") from error

    async def _connect_to_first(self, addresses: Sequence[AddressInfo]) -> Connection:
        """To the first that answers. One that is silent may take half of the time that is left, for the others."""
        seconds = self._settings.connect_seconds
        failed: OSError = ConnectionError()
        for left in range(len(addresses), 0, -1):
            _, address = addresses[-left]
            seconds = seconds if left == 1 else seconds / 2
            try:
                async with asyncio.timeout(seconds):
                    return await self._connect_to(*address[:2])
            except OSError as error:
                failed = error
        raise failed

    async def _connect_to(self, host: str, port: int) -> Connection:
        tls = self._tls
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            Connection, host, port, ssl=tls, server_hostname=self._place.host if tls else None
        )
        return connection


class Call:
    """Sends on entry, and hands out the answer when its head has come.

    A connection that has rested may be closed already. If nothing was answered on one, a new one is tried, once. Until
    then the request is kept, and no longer: there may be many calls at once, and each may be long.
    """

    def __init__(self, pool: Pool, request: list[bytes], settings: ProviderSettings) -> None:
        self._pool = pool
        self._request = request
        self._settings = settings
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> Exchange:
        settings = self._settings
        until = asyncio.get_running_loop().time() + settings.total_seconds
        limits = Limits(settings.first_byte_seconds, settings.idle_seconds, until)
        connection = await self._pool.take()
        if connection.used:
            exchange = self._send(connection, limits)
            with suppress(ModelLost):
                await _head_of(exchange)
            if not exchange.was_unheard:
                self._request = []
                return await _head_of(exchange)
            connection = await self._pool.take(fresh=True)
        exchange = self._send(connection, limits)
        self._request = []
        return await _head_of(exchange)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._exchange is not None:
            self._exchange.leave()

    def _send(self, connection: Connection, limits: Limits) -> Exchange:
        self._exchange = connection.ask(self._request, limits, lambda: self._pool.give(connection))
        return self._exchange


async def _head_of(exchange: Exchange) -> Exchange:
    try:
        await exchange.head()
    except BaseException:
        exchange.leave()
        raise
    return exchange
