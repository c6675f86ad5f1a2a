"""An account of Postgres that may not do what a server must is refused at the start, and told what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from agentops.core.errors import StartError
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ACCOUNT = "narrow"
ALL = f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ACCOUNT}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {ACCOUNT}"
OWNER = f"""
    GRANT CREATE ON SCHEMA public TO {ACCOUNT};
    DO $$ DECLARE name TEXT; BEGIN
        FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        LOOP EXECUTE format('ALTER TABLE %I OWNER TO {ACCOUNT}', name); END LOOP;
    END $$
"""


@pytest.fixture
async def owner(postgres_url: str) -> AsyncGenerator[Any]:
    connection: Any = await asyncpg.connect(postgres_url)
    await connection.execute(f"REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {ACCOUNT} LOGIN")
    try:
        yield connection
    finally:
        await connection.execute(f"REASSIGN OWNED BY {ACCOUNT} TO postgres; DROP OWNED BY {ACCOUNT}")
        await connection.execute(f"DROP ROLE {ACCOUNT}")
        await connection.close()


def storage_of_the_account(url: str) -> Postgres:
    return Postgres(url=Secret(url.replace("postgres:@", f"{ACCOUNT}:@")))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("SELECT", "permission denied for table agentops_revision"),
        (ALL, "does not own the table events"),
        (f"{OWNER}; REVOKE CREATE ON SCHEMA public FROM {ACCOUNT}", "may make no tables in its schema"),
        (f"{OWNER}; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC", "function pg_control_system"),
    ],
    ids=["nothing", "no-owner", "no-create", "no-control"],
)
async def test_what_is_missing_is_told_at_the_start(owner: Any, postgres_url: str, given: str, told: str) -> None:
    await owner.execute(given)
    with pytest.raises(StartError, match=rf"too few rights: .*{told}.*\. Let this account own the tables"):
        await storage_of_the_account(postgres_url).life(Rungs()).__aenter__()


async def test_an_account_that_only_reads_is_told_so(owner: Any, postgres_url: str) -> None:
    await owner.execute(f"{OWNER}; ALTER ROLE {ACCOUNT} SET default_transaction_read_only = on")
    with pytest.raises(StartError, match="only reads for this account"):
        await storage_of_the_account(postgres_url).life(Rungs()).__aenter__()


async def test_no_more_is_needed_than_is_said(owner: Any, postgres_url: str) -> None:
    await owner.execute(OWNER)
    async with storage_of_the_account(postgres_url).life(Rungs()) as storage:
        assert await storage.last_id() == 0
