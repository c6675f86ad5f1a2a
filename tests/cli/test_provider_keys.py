"""`agentops provider-keys`: who has which, and all of them sealed anew when the ring changes; none is ever shown."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from agentops.accounts.audit import Origin
from agentops.accounts.own_keys import OwnKeys
from agentops.accounts.ring import Ring
from agentops.core.rungs import Rungs
from agentops.core.secret import Secret
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.sqlite import Sqlite
from tests.cli.accounts import CONFIG, ENGINES, Accounts, assert_teaching, everything_in, helps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentops.core.ports.storage import Storage

OLD, NEW, THIRD = (base64.b64encode(bytes(range(first, first + 32))).decode() for first in (0, 100, 200))
KEY = "sk-canary-0123456789wxyz"
GATEWAY = """
[models.echo]
use = "fixture"

[features.gateway.models.small]
targets = [{ provider = "echo" }]

[[features.gateway.prices]]
provider = "echo"
model = "small"
input = 0
output = 0
"""


def ring_of(*keys: str) -> tuple[str, str]:
    return "--set", f"features.gateway.ring=[{', '.join(f'{key!r}' for key in keys)}]"


def name_of(key: str) -> str:
    return Ring([Secret(key)]).first


@pytest.fixture
def accounts(accounts: Accounts) -> Accounts:
    """The same deployment with a gateway."""
    served = CONFIG.replace('serve = ["runs"]', 'serve = ["runs", "gateway"]')
    (accounts.folder.path / "deployment.toml").write_text(served + GATEWAY)
    return accounts


@pytest_asyncio.fixture
async def store(accounts: Accounts) -> Callable[..., Awaitable[None]]:
    """Stores keys as the server does, sealed with a key of the ring that is named."""

    async def stored(sealing: str, *owners: str, project: str = "default") -> None:
        urls = [text.removeprefix("storage.url=") for text in accounts.there if text.startswith("storage.url=")]
        path = str(accounts.folder.path / "accounts.sqlite")
        storage: Storage = Postgres(url=Secret(urls[0])) if urls else Sqlite(path=path)
        async with storage.life(Rungs()):
            own = OwnKeys(storage, Ring([Secret(sealing)]))
            for owner in owners:
                await own.put(Origin(project, owner), owner, "echo", Secret(KEY))

    return stored


@pytest.mark.parametrize("accounts", ENGINES, indirect=True)
async def test_all_are_listed_and_sealed_anew(accounts: Accounts, store: Callable[..., Awaitable[None]]) -> None:
    await store(OLD, "ada", "bob")
    await store(OLD, "ada", project="other")
    rings = ring_of(NEW, OLD)
    table = await accounts.done("provider-keys", "list", *rings)
    assert [line.split()[:5] for line in table.splitlines()[1:]] == [
        ["default", owner, "echo", "…wxyz", name_of(OLD)] for owner in ("ada", "bob")
    ]
    told = await accounts.done("provider-keys", "rotate", *rings)
    assert told == f"Sealed 3 keys anew with {name_of(NEW)}.\n"
    listed = await accounts.lines("provider-keys", "list", "--all-projects", "--json")
    assert [(key["project"], key["owner"], key["ring"]) for key in listed] == [
        ("default", "ada", name_of(NEW)),
        ("default", "bob", name_of(NEW)),
        ("other", "ada", name_of(NEW)),
    ]
    assert await accounts.done("provider-keys", "rotate", *ring_of(NEW)) == f"Sealed 0 keys anew with {name_of(NEW)}.\n"
    assert (await accounts.trail())[-1] == ("provider_key.reseal", name_of(NEW))
    assert KEY not in table + str(listed)


async def test_what_cannot_be_read_is_named_and_keeps_the_others_from_nothing(
    accounts: Accounts, store: Callable[..., Awaitable[None]]
) -> None:
    await store(OLD, "ada")
    await store(THIRD, "lost")
    done = await accounts("provider-keys", "rotate", *ring_of(NEW, OLD))
    assert (done.code, done.out) == (1, f"Sealed 1 key anew with {name_of(NEW)}.\n")
    assert "1 cannot be read" in done.err
    assert "'echo' of 'lost' in 'default'" in done.err
    assert "Traceback" not in done.err
    rings = [key["ring"] for key in await accounts.lines("provider-keys", "list", "--json")]
    assert rings == [name_of(NEW), name_of(THIRD)]
    stored = everything_in(accounts.folder)
    for secret in (KEY, OLD, NEW, THIRD):
        assert secret not in done.out + done.err + stored


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rotate",), 1, "this deployment has no ring: write `ring` in [features.gateway]"),
        (("rotate", "--set", "features.gateway.ring=['canary']"), 1, "no key of 32 bytes"),
        (("rotate", *ring_of(NEW), "--set", "storage.path=none.sqlite"), 3, "agentops migrate"),
        (("list", "--project", "p", "--all-projects"), 2, "give one of the two"),
    ],
    ids=["no ring", "no key", "no database", "one and all"],
)
async def test_what_cannot_be_done_is_told(
    accounts: Accounts, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = await accounts("provider-keys", *arguments)
    assert (done.code, done.out) == (code, ""), done
    assert said in done.err
    assert "canary" not in done.err
    assert "Traceback" not in done.err


async def test_there_may_be_none(accounts: Accounts) -> None:
    done = await accounts("provider-keys", "list")
    assert done == (0, "", "There are no keys for providers in project 'default'.\n")


@pytest.mark.parametrize(("name", "text"), helps("provider-keys").items(), ids=helps("provider-keys"))
def test_help_teaches(name: str, text: str) -> None:
    assert_teaching("provider-keys", name, text)
