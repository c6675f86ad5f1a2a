"""What an import costs: the package, its command line and its help load none of the heavy parts."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

HEAVY: Final = ("litestar", "sqlalchemy", "alembic", "uvicorn", "granian", "asyncpg", "aiosqlite")

LIGHT: Final = {
    "import-agentops": "import agentops",
    "import-cli": "import agentops.cli",
    "help": "import contextlib, agentops.cli\nwith contextlib.suppress(SystemExit): agentops.cli.main(['--help'])",
    "an-auth-plugin": "from agentops import Authenticator, Caller, Identity, Rejected, Secret, Settings",
}


@pytest.mark.parametrize("code", LIGHT.values(), ids=LIGHT)
def test_loads_nothing_heavy(code: str) -> None:
    tell = f"import sys\nprint([name for name in {HEAVY} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
