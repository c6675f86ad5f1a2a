"""Hashed keys for figures that need some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentops.accounts.audit import Origin
from agentops.accounts.keys import Keys
from agentops.accounts.wanted_key import Granter, Wanted
from agentops.core.rungs import Rungs
from agentops.plugins.storage.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentops.core.allowance import Allowance
    from agentops.core.ports.storage import Storage


async def keys_in(path: Path, count: int) -> Sequence[str]:
    """The texts of so many new keys in a database file that no server has opened yet."""
    storage = Sqlite(path=str(path))
    async with storage.life(Rungs()):
        return [await new_key(storage) for _ in range(count)]


async def new_key(storage: Storage[Any], permissions: Sequence[str] = ("runs:*",), llm: Allowance | None = None) -> str:
    wanted = Wanted("bench", "bench", 1, permissions, llm=llm)
    granter = Granter({"*"}, {"runs:read", "llm:call"})
    _, text = await Keys(storage, "ak_").create(Origin("default", "bench"), wanted, granter)
    return text
