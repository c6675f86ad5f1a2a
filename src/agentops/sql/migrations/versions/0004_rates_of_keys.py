"""How often a key may be used, where it is not what its lane says."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE keys ADD COLUMN rates TEXT NOT NULL DEFAULT '[]'")
