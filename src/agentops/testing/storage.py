"""The contract of a storage, as tests: every line that `core/ports/storage.py` promises.

    class TestMine(StorageContract):
        @pytest.fixture
        def make_storage(self, tmp_path):
            return lambda: Mine(path=str(tmp_path / "mine.db"))

`make_storage` gives a function that makes storages, not yet started, all on one database that is new for each test.
The tests are coroutines: run them with pytest-asyncio's `asyncio_mode = "auto"`.
"""

from __future__ import annotations

from agentops.testing._storage.appends import AppendContract
from agentops.testing._storage.concurrency import ConcurrencyContract
from agentops.testing._storage.feed import FeedContract
from agentops.testing._storage.pages import PageContract
from agentops.testing._storage.retention import RetentionContract
from agentops.testing._storage.runs import RunContract
from agentops.testing._storage.statements import StatementContract
from agentops.testing._storage.transactions import TransactionContract


class StorageContract(
    AppendContract,
    PageContract,
    FeedContract,
    RunContract,
    RetentionContract,
    StatementContract,
    TransactionContract,
    ConcurrencyContract,
):
    """Subclass, give `make_storage`, run pytest."""
