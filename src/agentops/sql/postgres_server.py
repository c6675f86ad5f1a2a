"""Where a Postgres server is, how it is reached, and what its errors mean to a caller."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from agentops.core.errors import StartError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from agentops.core.secret import Secret

SCHEMES: Final = ("postgres", "postgresql", "postgresql+asyncpg")
OLDEST: Final = 13
"""The first version with `xid8`, on which the order of the feed rests."""
_PLANNER: Final = {"enable_bitmapscan": "off", "jit": "off"}
"""A bitmap forgets the order of its index: on a table that grew since it was last analysed, Postgres would take one
for a page of the feed, and read and sort all that stands behind the cursor. Compiling costs more than it saves here."""

COMMAND_GRACE: Final = 5.0
"""Seconds after which a statement is given up that the server itself should have ended."""

_UNAVAILABLE_CLASSES: Final = ("08", "40", "53", "57", "58")
_UNAVAILABLE_STATES: Final = ("25006", "55P03")


class Server:
    """Makes connections that commit durably and do not wait for ever."""

    def __init__(self, url: Secret, connect_timeout: float, statement_timeout: float) -> None:
        self._url = url
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout

    @property
    def place(self) -> str:
        """Host, port and database, and nothing secret."""
        try:
            scheme, separator, rest = self._url.reveal().partition("://")
            url = make_url(f"{scheme}{separator}{rest.rpartition('@')[2]}".partition("#")[0])
        except (ArgumentError, ValueError):
            return "the configured url"
        host = url.host or str(url.query.get("host", "localhost"))
        return f"{host}:{url.port or url.query.get('port', 5432)}, database {url.database or 'of the user'!r}"

    async def connect(self) -> Any:
        milliseconds = str(int(self._statement_timeout * 1000))
        return await self._connect(
            command_timeout=self._statement_timeout + COMMAND_GRACE,
            server_settings={
                "application_name": "agentops",
                "synchronous_commit": "on",
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": milliseconds,
                **_PLANNER,
            },
        )

    async def connect_patiently(self, name: str = "agentops migrate") -> Any:
        """For migrations, which may rewrite a large table, and for copies."""
        settings = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "jit": "off"}
        return await self._connect(server_settings={"application_name": name, **settings})

    async def connect_at_start(self, connect: Callable[[], Awaitable[Any]] | None = None) -> Any:
        """Connect, or say what hinders it in a sentence that names the place and no secret."""
        try:
            connection = await (connect or self.connect)()
        except (ValueError, asyncpg.ClientConfigurationError):
            raise StartError(
                f"the storage's url cannot be read: write postgresql://user:password@host:port/database ({self.place})"
            ) from None
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            reason = str(error) or type(error).__name__
            raise StartError(f"cannot connect to Postgres at {self.place}: {reason}") from error
        version = connection.get_server_version().major
        if version < OLDEST:
            await connection.close()
            raise StartError(f"Postgres at {self.place} is version {version}; {OLDEST} or newer is needed")
        return connection

    async def _connect(self, **options: Any) -> Any:
        scheme, separator, rest = self._url.reveal().partition("://")
        dsn = f"{scheme.removesuffix('+asyncpg')}{separator}{rest}"
        options["timeout"] = self._connect_timeout
        return await asyncpg.connect(dsn, **options)


def unavailable(error: BaseException) -> Unavailable | None:
    """The refusal that an error of the server or the way to it means, or nothing when the statement is at fault."""
    cause = (error.orig.__cause__ or error.orig) if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(cause, asyncpg.PostgresError):
        state = str(getattr(cause, "sqlstate", None))
        if state[:2] not in _UNAVAILABLE_CLASSES and state not in _UNAVAILABLE_STATES:
            return None
    elif isinstance(cause, ValueError) or not isinstance(
        cause, (OSError, TimeoutError, PoolTimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    ):
        return None
    return Unavailable("nothing can be stored or read now: the database cannot be reached or is overloaded")


@cache
def numbered(query: str) -> str:
    """The driver's own way to write where the values go: `$1`, `$2`."""
    first, *rest = query.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))


@contextmanager
def translated() -> Generator[None]:
    """Raise `Unavailable` for what is no fault of the caller."""
    try:
        yield
    except Exception as error:
        refusal = unavailable(error)
        if refusal is None:
            raise
        raise refusal from error
