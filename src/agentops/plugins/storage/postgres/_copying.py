"""The database as the target of a copy: rows come in as they are, with their numbers."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from sqlalchemy import Text

from agentops.core.errors import StartError, Unavailable
from agentops.plugins.storage.postgres import _claiming, _migrating, _parts
from agentops.sql.copying.order import EVERY, SUBSCRIBED, columns_of, in_order, is_keyed, key_of
from agentops.sql.postgres_server import Server, translated
from agentops.sql.tables import events, projects

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence

    from sqlalchemy import Column, Table

    from agentops.sql.copying.sides import Key, Pages, Places, Row, Source

_STAGE: Final = "CREATE TEMPORARY TABLE staged_{table} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
_REMOVE_ALL: Final = "DELETE FROM {table}"
_REMOVE: Final = """
    DELETE FROM {table} WHERE NOT EXISTS (SELECT FROM staged_{table} AS staged WHERE staged.{key} = {table}.{key})
"""
_ADD: Final = """
    INSERT INTO {table} AS stored ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {columns} FROM staged_{table} ORDER BY {key}
"""
_STORE: Final = f"""
    {_ADD} ON CONFLICT ({{key}}) DO UPDATE SET {{changes}} WHERE ({{stored}}) IS DISTINCT FROM ({{excluded}})
"""
_FIRST_IDS: Final = """
    UPDATE runs SET first_id = (SELECT id FROM events WHERE run = runs.pk ORDER BY id LIMIT 1)
    WHERE first_id = 0 AND EXISTS (SELECT FROM events WHERE run = runs.pk)
"""
_PRUNE: Final = """
    DELETE FROM events USING (
        SELECT staged.pk, staged.pruned_to FROM staged_runs AS staged LEFT JOIN runs ON runs.pk = staged.pk
        WHERE staged.pruned_to > coalesce(runs.pruned_to, 0)
    ) AS pruned
    WHERE events.run = pruned.pk AND events.id <= pruned.pruned_to
"""


@asynccontextmanager
async def copied_into(server: Server, part_events: int) -> AsyncGenerator[PostgresTarget]:
    """Give a database its tables if it has none. At the end the connection is broken off, whatever it is doing."""
    connection = await server.connect_at_start(lambda: server.connect_patiently("agentops copy"))
    try:
        with _told():
            await _claiming.alone(connection, server.place)
            if await _migrating.stored_revision(connection) is None:
                await _migrating.migrate(server)
        yield PostgresTarget(connection, server.place, part_events)
    finally:
        connection.terminate()


class PostgresTarget:
    def __init__(self, connection: Any, place: str, part_events: int) -> None:
        self._connection = connection
        self._place = f"Postgres at {place}"
        self._part_events = part_events
        self._room_to = 0

    @property
    def place(self) -> str:
        return self._place

    async def claim(self, source: Source) -> Places:
        with _told():
            await self.refuse_served()
            places = await _claiming.claim(self._connection, self._place, source)
            await self._connection.execute(f"DELETE FROM {SUBSCRIBED.name}")  # noqa: S608
            return places

    async def refuse_served(self) -> None:
        with _told():
            await _claiming.refuse_served(self._connection, self._place)

    async def append(self, table: Table, rows: Sequence[Row]) -> None:
        """One transaction after the other, so that the feed, which goes by their numbers, has the order of the ids."""
        with _told():
            if table is events:
                await self._make_room(rows[0][0], rows[-1][0])
            async with self._connection.transaction():
                await self._store(table.name, table, rows)
                await _claiming.advance(self._connection, table, rows[-1][0])

    async def level(self, tables: Sequence[Table], pages: Pages, newest: Mapping[Table, int], first_run: str) -> None:
        """Read what refers to others before these others, so that none is missing that came in between."""
        with _told():
            async with self._connection.transaction():
                for table in reversed(tables):
                    await self._stage(table, pages)
                await self._connection.execute(_PRUNE)
                for table in reversed(tables):
                    await self._connection.execute(_filled_in(_REMOVE if is_keyed(table) else _REMOVE_ALL, table))
                for table in tables:
                    await self._connection.execute(_filled_in(_STORE if is_keyed(table) else _ADD, table))
                await _claiming.name_first_run(self._connection, first_run)
                for table, number in newest.items():
                    await self._continue_behind(table, number)
            await self._connection.execute(f"ANALYZE {', '.join(table.name for table in EVERY)}")

    async def between(self, table: Table, low: Key | None, high: Key | None, most: int) -> Sequence[Row]:
        """Events are looked up in each project: there is no index on their ids alone."""
        key = _key_in_order(key_of(table))
        values: list[Any] = [most]
        wanted = [f"project IN (SELECT pk FROM {projects.name})"] if table is events else []  # noqa: S608
        for bound, operator in ((low, ">"), (high, "<=")):
            if bound is not None:
                values.append(bound)
                wanted.append(f"{key} {operator} ${len(values)}")
        order = ", ".join(_key_in_order(column) for column in in_order(table))
        query = f"SELECT {columns_of(table)} FROM {table.name} WHERE {' AND '.join(wanted) or 'true'} ORDER BY {order}"  # noqa: S608
        with _told():
            return [tuple(row) for row in await self._connection.fetch(f"{query} LIMIT $1", *values)]

    async def finish(self) -> None:
        """Note where each run begins, before which nobody need look for a key, and let servers in."""
        with _told():
            await self._connection.execute(_FIRST_IDS)
            await _claiming.release(self._connection)

    async def _stage(self, table: Table, pages: Pages) -> None:
        await self._connection.execute(_filled_in(_STAGE, table))
        rows = await pages(table, None)
        while rows:
            await self._store(f"staged_{table.name}", table, rows)
            rows = await pages(table, rows[-1][0])
        await self._connection.execute(f"ANALYZE staged_{table.name}")

    async def _make_room(self, first: int, last: int) -> None:
        """See that there are parts of `events` for these ids; they are higher than all before."""
        if last >= self._room_to:
            await _parts.make_room(self._connection, self._part_events, first, last - first)
            self._room_to = first + max(self._part_events, last - first)

    async def _store(self, name: str, table: Table, rows: Sequence[Row]) -> None:
        columns = [column.name for column in table.columns]
        await self._connection.copy_records_to_table(name, records=rows, columns=columns)

    async def _continue_behind(self, table: Table, number: int) -> None:
        """What the source ever gave out is never given again, also of rows that are gone."""
        sequence = (
            "'events_id'" if table is events else f"pg_get_serial_sequence('{table.name}', '{key_of(table).name}')"
        )
        await self._connection.execute(f"SELECT setval({sequence}, greatest($1, 1), $1 > 0)", number)


def _filled_in(query: str, table: Table) -> str:
    key = key_of(table).name
    others = [column.name for column in table.columns if column.name != key]
    return query.format(
        table=table.name,
        key=f'"{key}"',
        columns=columns_of(table),
        changes=", ".join(f'"{name}" = excluded."{name}"' for name in others),
        stored=", ".join(f'stored."{name}"' for name in others),
        excluded=", ".join(f'excluded."{name}"' for name in others),
    )


def _key_in_order(column: Column[int | str]) -> str:
    """Texts in the order of their bytes, as in the source; the database's own may be that of some language."""
    return f'"{column.name}" COLLATE "C"' if isinstance(column.type, Text) else f'"{column.name}"'


@contextmanager
def _told() -> Generator[None]:
    """Say of a failure of the server what it is: who copies is the one who can mend it."""
    try:
        with translated():
            yield
    except Unavailable as error:
        cause = error.__cause__
        if isinstance(cause, asyncpg.DiskFullError):
            raise Unavailable("the disk of the target's server is full: make room there") from error
        raise
    except (asyncpg.PostgresError, ValueError) as error:
        raise StartError(
            f"the target refuses what the source holds: {type(error).__name__}; --debug shows more"
        ) from error
