"""Compares the schema with what this program needs, and brings it there."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from agentops.core.errors import StartError
from agentops.sql.migrations import REVISIONS

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD: Final = REVISIONS[-1]

_one_alembic: Final = Lock()
"""Alembic keeps the migration it is running in its modules, so one process runs one at a time."""


def is_unknown(stored: str | None) -> bool:
    """Whether a newer program has migrated the database; what it says of older ones is then to be read."""
    return stored is not None and stored not in REVISIONS


def as_known(stored: str, served_since: str) -> str:
    """During an upgrade, a newer schema that still serves this program is as good as its own."""
    return HEAD if served_since in REVISIONS else stored


def at_head(stored: str | None) -> bool:
    """Whether there is nothing to migrate; refuses a database that a newer program has migrated."""
    if is_unknown(stored):
        raise StartError(
            f"the database is at schema revision {stored!r}, which this version of agentops does not know: "
            f"it knows up to {HEAD!r}. Install the newer version that migrated it, or restore a backup"
        )
    return stored == HEAD


def require_head(stored: str | None) -> None:
    """Refuse to start on a schema that is not this program's."""
    if not at_head(stored):
        raise StartError(
            f"the database is at schema revision {stored or 'none'!r} and this program needs {HEAD!r}: "
            "run `agentops migrate` with the same --config, or set `migrate = true` for this storage"
        )


def upgrade(connection: Connection) -> None:
    """Run what is missing in the caller's transaction, which must hold the database's migration lock."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "agentops.sql:migrations")
    config.attributes["connection"] = connection
    with _one_alembic:
        command.upgrade(config, "head")
