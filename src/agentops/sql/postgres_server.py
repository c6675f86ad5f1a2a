"""Where a Postgres server is, how it is reached, and what its errors mean to a caller."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from agentops.core.errors import StartError, Unavailable
from agentops.sql.postgres_hosts import named_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

    from agentops.core.secret import Secret
    from agentops.sql.postgres_hosts import Host

SCHEMES: Final = ("postgres", "postgresql", "postgresql+asyncpg")
OLDEST: Final = 13
"""The first version with `xid8`, on which the order of the feed rests."""
_PLANNER: Final = {"enable_bitmapscan": "off", "jit": "off"}
"""A bitmap forgets the order of its index: on a table that grew since it was last analysed, Postgres would take one
for a page of the feed, and read and sort all that stands behind the cursor. Compiling costs more than it saves here."""

COMMAND_GRACE: Final = 5.0
"""Seconds after which a statement is given up that the server itself should have ended."""

_UNAVAILABLE_CLASSES: Final = ("08", "40", "53", "57", "58")
_READ_ONLY: Final = "25006"
_UNAVAILABLE_STATES: Final = (_READ_ONLY, "55P03")
_NO_WAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What hinders a connection, wherever the fault is."""


class Server:
    """Makes connections that commit durably and do not wait for ever."""

    def __init__(self, url: Secret, connect_timeout: float, statement_timeout: float) -> None:
        self._url = url
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self._last_good: Host | None = None

    @property
    def place(self) -> str:
        """Hosts, ports and database, and nothing secret."""
        try:
            named = named_in(self._url.reveal())
        except ValueError:
            return "the configured url"
        hosts = " or ".join(f"{host.name}:{host.port}" for host in named.hosts) or "localhost:5432"
        return f"{hosts}, database {named.database or 'of the user'!r}"

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
        except _NO_WAY as error:
            reason = str(error) or type(error).__name__
            raise StartError(f"cannot connect to Postgres at {self.place}: {reason}") from error
        version = connection.get_server_version().major
        if version < OLDEST:
            await connection.close()
            raise StartError(f"Postgres at {self.place} is version {version}; {OLDEST} or newer is needed")
        return connection

    async def _connect(self, **options: Any) -> Any:
        """Ask each of several servers, for its share of the time: one that is frozen must not hide the others."""
        scheme, separator, rest = self._url.reveal().partition("://")
        dsn = f"{scheme.removesuffix('+asyncpg')}{separator}{rest}"
        hosts = self._hosts()
        options["timeout"] = self._connect_timeout / max(1, len(hosts))
        if not hosts:
            return await asyncpg.connect(dsn, **options)
        failures = list[Exception]()
        for host in hosts:
            try:
                connection = await asyncpg.connect(dsn, host=host.name, port=host.port, **options)
            except _NO_WAY as error:
                failures.append(error)
            else:
                self._last_good = host
                return connection
        raise min(failures, key=lambda failure: isinstance(failure, asyncpg.TargetServerAttributeNotMatched))

    def _hosts(self) -> Sequence[Host]:
        """Which to ask one by one, and whom first; none where the driver has nothing to choose, or to compare."""
        named = named_in(self._url.reveal())
        if len(named.hosts) <= 1 or named.wanted == "prefer-standby":
            return []
        return sorted(named.hosts, key=lambda host: host != self._last_good)


def unavailable(error: BaseException) -> Unavailable | None:
    """The refusal that an error of the server or the way to it means, or nothing when the statement is at fault."""
    cause = cause_of(error)
    if isinstance(cause, asyncpg.PostgresError):
        state = str(getattr(cause, "sqlstate", None))
        if state[:2] not in _UNAVAILABLE_CLASSES and state not in _UNAVAILABLE_STATES:
            return None
    elif isinstance(cause, ValueError) or not isinstance(
        cause, (OSError, TimeoutError, PoolTimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    ):
        return None
    return Unavailable("nothing can be stored or read now: the database cannot be reached or is overloaded")


def spoils(error: BaseException) -> bool:
    """Whether the connection must not be used again: it hangs, or its server has become one that only reads."""
    cause = cause_of(error)
    if isinstance(cause, asyncpg.PostgresError):
        return getattr(cause, "sqlstate", None) == _READ_ONLY
    return isinstance(cause, TimeoutError)


def cause_of(error: BaseException) -> BaseException:
    """What the driver raised, behind what others have made of it."""
    if isinstance(error, DBAPIError) and error.orig:
        return error.orig.__cause__ or error.orig
    if isinstance(error, Unavailable) and error.__cause__ is not None:
        return cause_of(error.__cause__)
    return error


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
