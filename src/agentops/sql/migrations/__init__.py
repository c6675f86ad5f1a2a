"""The schema's history: one file in `versions` for each step, oldest first."""

from __future__ import annotations

from typing import Final

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Known here, so that a start needs no alembic to see that there is nothing to do."""

VERSION_TABLE: Final = "agentops_revision"
STORED_REVISION: Final = "SELECT version_num FROM agentops_revision"
SERVED_SINCE: Final = "SELECT revision FROM agentops_served_since"
"""The oldest revision whose programs the schema still serves; each migration that breaks with older ones sets it."""

COPYING: Final = "copying"
"""What stands in the place of a revision while a copy into the database is not whole: no version starts on that."""
