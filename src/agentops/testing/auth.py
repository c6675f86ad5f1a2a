"""The contract of an authenticator, as tests: every line that `core/ports/auth.py` promises.

    class TestMine(AuthContract):
        @pytest.fixture
        def authenticator(self):
            return Mine(secret="open-sesame")

        @pytest.fixture
        def good(self):
            return Caller([(b"x-mine", b"ada:open-sesame")])

        @pytest.fixture
        def wrong(self):
            return Caller([(b"x-mine", b"ada:sesame")])

The two callers send nothing but their credential. One that must be made first, such as a row, is made by a fixture
`good` that asks for `running`: there the authenticator has started, and `running.kit.deployment` holds the storage.
The tests are coroutines: run them with pytest-asyncio.

Where the suite guesses wrong, say better by a fixture of the same name: `near_good`, `many_wrong` or `secrets`.
"""

from __future__ import annotations

from agentops.testing._auth.base import verdict
from agentops.testing._auth.hostile import HostileContract
from agentops.testing._auth.lasting import LastingContract
from agentops.testing._auth.secrecy import SecrecyContract
from agentops.testing._auth.verdicts import VerdictContract

__all__ = ["AuthContract", "verdict"]


class AuthContract(VerdictContract, SecrecyContract, HostileContract, LastingContract):
    """Subclass, give `authenticator`, `good` and `wrong`, run pytest."""
