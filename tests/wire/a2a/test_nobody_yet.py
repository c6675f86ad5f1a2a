"""Where nobody could sign in, a start says how to make whoever can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops import Kit, Lane
from agentops.accounts.audit import Origin
from agentops.accounts.users import NewUser
from agentops.accounts.users import Users as UserService
from agentops.core.secret import Secret
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.features.users import FirstAdmin, Users
from agentops.plugins.storage.sqlite import Sqlite
from tests.core.parts import Kept
from tests.wire.tokens import SECRET

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct horse"


def kit_of(folder: Path, told: Kept, password: Secret | None = None) -> Kit:
    first = FirstAdmin(username="root", email="root@example.com", password=password)
    return Kit(
        storage=Sqlite(path=str(folder / "agentops.sqlite")),
        telemetry={"told": told},
        auth={"people": Jwt(secret=SECRET, accounts=True)},
        lanes=[Lane("/api", serve=[Users(first_admin=first)], auth=["people"])],
    )


async def test_a_start_with_no_user_says_how_the_first_is_made(tmp_path: Path) -> None:
    told = Kept()
    async with kit_of(tmp_path, told).running():
        level, fields = told.only("users.nobody")
    assert level == "warning"
    assert "agentops users add NAME --email ADDRESS --role admin" in str(fields["remedy"])
    assert "[features.users.first_admin]" in str(fields["remedy"])


async def test_a_start_that_makes_the_first_says_nothing(tmp_path: Path) -> None:
    told = Kept()
    async with kit_of(tmp_path, told, Secret(PASSWORD)).running():
        assert told.named("users.first_admin")
    assert told.named("users.nobody") == []


async def test_nor_does_one_after_somebody_was_made(tmp_path: Path) -> None:
    kit, told = kit_of(tmp_path, Kept()), Kept()
    async with kit.running():
        new = NewUser("ada", "ada@example.com", PASSWORD, "viewer")
        await UserService(kit.deployment.storage).add(Origin("default", "test"), new, {"*"})
    async with kit_of(tmp_path, told).running():
        assert told.named("users.nobody") == []
