"""`agentops keys`: what opens which door until when, shown once, and beside a server that serves."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from agentops.accounts.key_text import parse_key
from agentops.accounts.wanted_key import DAYS_MOST
from agentops.core.records import DAY_MS
from tests.cli.accounts import CONFIG, ENGINES, Accounts, assert_teaching, everything_in, helps
from tests.cli.running import PATIENCE

if TYPE_CHECKING:
    from tests.cli.running import Serving

CREATE = ("keys", "create", "--owner", "robot", "--name", "ci")

STRANGER = """
from agentops import Authenticator, Caller, Identity, NoSettings


class Locks(Authenticator[NoSettings]):
    prefix = "lock_"

    async def authenticate(self, caller: Caller) -> Identity | None:
        return None
"""


async def status(server: Serving, key: str) -> int:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{server.api}/runs", headers={"Authorization": f"Bearer {key}"})).status_code


@pytest.mark.parametrize("accounts", ENGINES, indirect=True)
async def test_a_key_is_made_replaced_and_revoked(accounts: Accounts) -> None:
    options = ("--days", "30", "--permission", "runs:write", "--permission", "runs:read", "--network", "192.0.2.0/24")
    made = await accounts(*CREATE, *options)
    assert made.code == 0, made
    assert re.fullmatch(r"uc_[0-9a-f]{64}\n", made.out)
    assert parse_key(made.out.removesuffix("\n"), "uc_") is not None
    told, warning = made.err.splitlines()
    found = re.match(r"Made the key ([0-9a-f]{16}): 'ci' of 'robot' in project 'default', good until ", told)
    assert found is not None
    assert told.endswith(", for runs:read, runs:write, from 192.0.2.0/24 only.")
    assert "shown this once" in warning

    replaced = await accounts("keys", "rotate", found[1], "--grace", "60")
    assert replaced.code == 0, replaced
    assert re.fullmatch(r"uc_[0-9a-f]{64}\n", replaced.out)
    assert f"in the place of {found[1]}, which lives on for 60 s at most: 'ci' of 'robot'" in replaced.err
    for _ in range(2):
        assert await accounts.done("keys", "revoke", found[1]) == f"The key {found[1]} is revoked.\n"

    new, old = sorted(await accounts.lines("keys", "list", "--json"), key=lambda key: key["id"] == found[1])
    assert [new["state"], old["state"]] == ["active", "revoked"]
    for key, text in ((new, replaced.out), (old, made.out)):
        assert key["expires_at"] - key["created_at"] == 30 * DAY_MS
        same = {name: key[name] for name in ("name", "owner", "project", "permissions", "networks", "shown")}
        assert same == {
            "name": "ci",
            "owner": "robot",
            "project": "default",
            "permissions": ["runs:read", "runs:write"],
            "networks": ["192.0.2.0/24"],
            "shown": text[:7],
        }
    assert await accounts.trail() == [(f"key.{action}", old["id"]) for action in ("create", "rotate", "revoke")]


async def test_a_key_may_have_rates_of_its_own(accounts: Accounts) -> None:
    made = await accounts(*CREATE, "--rate", "9/s", "--rate", "100/h", "--set", "limiter.use=memory")
    assert made.code == 0, made
    assert ", at most 9/s and 100/h." in made.err
    (key,) = await accounts.lines("keys", "list", "--json")
    assert key["rates"] == ["9/s", "100/h"]


async def test_what_a_key_may_ask_of_models_is_said_in_dollars_and_kept_in_micro_dollars(accounts: Accounts) -> None:
    limits = ("models=small,large", "requests_per_minute=60", "parallel=4", "budget_day=5.00", "cost_per_call=0.000001")
    made = await accounts(*CREATE, *(part for limit in limits for part in ("--llm", limit)))
    assert made.code == 0, made
    told = "models small and large only, 60 requests a minute, 4 at once, $5.00 a day, $0.000001 a call"
    assert f", for nothing, {told}." in made.err
    (key,) = await accounts.lines("keys", "list", "--json")
    kept = {"models": ["small", "large"], "requests_per_minute": 60, "parallel": 4, "budget_day": 5_000_000}
    assert key["llm"] == kept | {"cost_per_call": 1}
    assert told.replace(", ", "; ") in await accounts.done("keys", "list")
    replaced = await accounts("keys", "rotate", key["id"])
    assert told in replaced.err


async def test_of_a_key_that_may_do_nothing_it_is_said_how_one_that_may_is_made(accounts: Accounts) -> None:
    made = await accounts(*CREATE)
    (key,) = await accounts.lines("keys", "list", "--json")
    told, warning, _ = made.err.splitlines()
    assert told.endswith(", for nothing.")
    assert warning.startswith("Warning: it may do nothing, as no --permission was given")
    assert f"`agentops keys revoke {key['id']}`" in warning
    assert warning.endswith(" runs:read, runs:write, workflows:read, workflows:write.")
    assert "Warning" not in (await accounts(*CREATE, "--permission", "runs:read")).err


async def test_every_permission_that_is_unknown_is_told_with_the_nearest(accounts: Accounts) -> None:
    wrong = await accounts(*CREATE, "--permission", "runs:raed", "--permission", "*", "--permission", "run:*")
    assert (wrong.code, wrong.out) == (1, "")
    first, second = wrong.err.splitlines()
    assert first.startswith("--permission: there is no permission 'run:*'; ")
    assert second.startswith("--permission: there is no permission 'runs:raed'; ")
    assert second.endswith("; did you mean 'runs:read'?")


async def test_the_text_of_a_key_is_nowhere_but_on_standard_output(accounts: Accounts) -> None:
    made = await accounts(*CREATE)
    key = made.out.removesuffix("\n")
    mistaken = [await accounts("keys", command, key) for command in ("revoke", "rotate")]
    for wrong in mistaken:
        assert (wrong.code, wrong.out) == (1, "")
        assert wrong.err == "Error: project 'default' has no key of this id: `agentops keys list` shows them\n"
    said = [await accounts(*arguments) for arguments in (("keys", "list"), ("keys", "list", "--json"))]
    assert [finished.code for finished in said] == [0, 0]
    secret = key.removeprefix("uc_")[16:56]
    assert secret not in repr([made.err, mistaken, said, await accounts.done("audit", "export")])
    assert secret not in everything_in(accounts.folder)


async def test_the_list_is_a_table(accounts: Accounts) -> None:
    assert await accounts("keys", "list") == (0, "", "There are no keys in project 'default'.\n")
    for name, owner in (("first", "robot"), ("second", "other")):
        await accounts.done("keys", "create", "--owner", owner, "--name", name, "--permission", "runs:*")
    heads, *rows = (await accounts.done("keys", "list")).splitlines()
    assert heads.split()[:6] == ["id", "key", "name", "owner", "state", "made"]
    assert {row.split()[3] for row in rows} == {"robot", "other"}
    assert all(row.isprintable() and row.endswith("runs:*") and " active " in row for row in rows)
    (mine,) = await accounts.lines("keys", "list", "--json", "--owner", "robot")
    assert mine["name"] == "first"
    nobodys = await accounts("keys", "list", "--owner", "\udcff")
    assert (nobodys.code, nobodys.out) == (0, "")
    elsewhere = await accounts("keys", "list", "--project", "other")
    assert (elsewhere.out, elsewhere.err) == ("", "There are no keys in project 'other'.\n")


async def test_what_is_changed_holds_from_the_next_request_on(accounts: Accounts) -> None:
    user = await accounts.add("ada", "viewer")
    async with accounts.folder.serving() as server:
        key = (await accounts.done(*CREATE, "--permission", "runs:read")).strip()
        writes_only = (await accounts.done(*CREATE, "--permission", "runs:write")).strip()
        adas = (await accounts.done("keys", "create", "--owner", user, "--name", "x", "--permission", "*")).strip()
        assert [await status(server, each) for each in (key, writes_only, adas)] == [200, 403, 200]
        (_, _, old) = await accounts.lines("keys", "list", "--json")
        new = (await accounts.done("keys", "rotate", old["id"])).strip()
        assert [await status(server, each) for each in (key, new)] == [401, 200]
        ids = {each["shown"]: each["id"] for each in await accounts.lines("keys", "list", "--json")}
        await accounts.done("keys", "revoke", ids[new[:7]])
        await accounts.done("users", "disable", "ada")
        assert [await status(server, each) for each in (new, adas, writes_only)] == [401, 401, 403]


async def test_a_stream_that_is_open_ends_when_its_key_is_revoked(accounts: Accounts) -> None:
    key = (await accounts.done(*CREATE, "--permission", "runs:read")).strip()
    (listed,) = await accounts.lines("keys", "list", "--json")
    async with accounts.folder.serving("--set", "events.poll_seconds=0.1") as server, httpx.AsyncClient() as client:
        bearer = {"Authorization": f"Bearer {key}"}
        async with client.stream("GET", f"{server.api}/runs/r/stream", headers=bearer) as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == ": connected"
            await accounts.done("keys", "revoke", listed["id"])
            async with asyncio.timeout(PATIENCE):
                assert [line async for line in lines if line] == []


async def test_a_key_belongs_to_the_id_of_a_user_and_not_to_the_name(accounts: Accounts) -> None:
    ada, bob = await accounts.add("ada"), await accounts.add("bob", "user", "--project", "other")
    await accounts.done("users", "disable", "ada")
    expected = {
        "Ada": f"Error: 'Ada' is a user's name, and keys belong to the id: say --owner {ada}\n",
        ada: "Error: the user 'ada' is disabled: nobody would be let in with the key\n",
        bob: "Error: 'bob' is a user of project 'other': say so with --project\n",
    }
    said = {owner: await accounts("keys", "create", "--owner", owner, "--name", "x") for owner in expected}
    assert said == {owner: (1, "", error) for owner, error in expected.items()}
    assert await accounts("keys", "list", "--owner", "Ada") == (1, "", expected["Ada"])
    assert (await accounts("keys", "list", "--owner", ada)).code == 0
    assert await accounts.done("keys", "create", "--owner", bob, "--name", "x", "--project", "other")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["keys", "create", "--owner", "robot"], 2, "Missing option '--name'"),
        (["keys", "create", "--name", "ci"], 2, "Missing option '--owner'"),
        ([*CREATE, "--days", "0"], 2, f"1<=x<={DAYS_MOST}"),
        ([*CREATE, "--days", str(DAYS_MOST + 1)], 2, f"1<=x<={DAYS_MOST}"),
        ([*CREATE, "--permission", "runs:raed"], 1, "there is no permission 'runs:raed'"),
        ([*CREATE, "--network", "192.0.2.1/24"], 1, "'192.0.2.1/24' is no address or network"),
        ([*CREATE, "--rate", "9/s"], 1, "add a table [limiter]"),
        ([*CREATE, "--rate", "9", "--set", "limiter.use=memory"], 1, "'9' is no rate"),
        ([*CREATE, "--llm", "paralel=1"], 1, "there is no limit 'paralel'; did you mean 'parallel'?"),
        ([*CREATE, "--llm", "parallel=0"], 1, "'parallel=0'; Expected `int` >= 1"),
        ([*CREATE, "--llm", "parallel=1", "--llm", "parallel=2"], 1, "given twice"),
        ([*CREATE, "--llm", "parallel=x", "--llm", "budget_day=1e9"], 1, "'1e9' is no amount in dollars"),
        ([*CREATE, "--llm", "models=\udcff"], 1, "a model's name is 1 to "),
        ([*CREATE, "--llm", "counts_as=key:1"], 1, "there is no limit 'counts_as'"),
        (["keys", "create", "--owner", " ", "--name", "ci"], 1, "a key's owner is 1 to "),
        (["keys", "create", "--owner", "\udcff", "--name", "ci"], 1, "a key's owner is 1 to "),
        (["keys", "revoke", "\udcff"], 1, "has no key of this id"),
        (["keys", "rotate", "0123456789abcdef", "--grace", "-1"], 2, "x>=0"),
        ([*CREATE, "--set", "storage.path=none.sqlite"], 3, "agentops migrate"),
    ],
    ids=lambda given: " ".join(given).encode("unicode_escape").decode() if isinstance(given, list) else "",
)
async def test_what_is_refused_makes_no_key(accounts: Accounts, arguments: list[str], code: int, said: str) -> None:
    done = await accounts(*arguments)
    assert (done.code, done.out) == (code, ""), done
    assert said in done.err
    assert "Traceback" not in done.err
    assert await accounts.trail() == []
    assert not (accounts.folder.path / "none.sqlite").exists()


async def test_a_key_that_was_replaced_is_not_replaced_again(accounts: Accounts) -> None:
    await accounts.done(*CREATE)
    (key,) = await accounts.lines("keys", "list", "--json")
    assert "which is refused from now on" in (await accounts("keys", "rotate", key["id"])).err
    again = await accounts("keys", "rotate", key["id"])
    assert (again.code, again.out, again.err.count("\n")) == (1, "", 1)
    assert len(await accounts.lines("keys", "list", "--json")) == 2


async def test_which_authenticator_a_key_is_for(accounts: Accounts) -> None:
    """Whatever takes keys may have some made, a stranger's plugin too."""
    file = accounts.folder.path / "deployment.toml"
    (accounts.folder.path / "strangers.py").write_text(STRANGER)
    file.write_text(CONFIG + '[auth.locks]\nuse = "strangers:Locks"\n[auth.badge]\nuse = "static-key"\nkeys = ["1"]\n')
    both = await accounts(*CREATE)
    assert (both.code, both.out) == (1, "")
    assert both.err.startswith("--auth: 2 authenticators can do this; ")
    assert both.err.endswith("say which: 'keys' or 'locks'\n")
    assert (await accounts.done(*CREATE, "--auth", "keys")).startswith("uc_")
    lock = await accounts.done(*CREATE, "--auth", "locks")
    assert parse_key(lock.strip(), "lock_") is not None
    (_, old) = await accounts.lines("keys", "list", "--json")
    assert (await accounts("keys", "rotate", old["id"])).code == 1
    assert (await accounts.done("keys", "rotate", old["id"], "--auth", "locks")).startswith("lock_")
    mistyped = await accounts(*CREATE, "--auth", "lock")
    assert (mistyped.code, mistyped.out) == (1, "")
    assert "no authenticator is called 'lock'" in mistyped.err
    assert "did you mean 'locks'?" in mistyped.err
    assert (await accounts(*CREATE, "--auth", "badge")).code == 1
    file.write_text(CONFIG.replace('"hashed-keys"\nprefix = "uc_"', '"static-key"\nkeys = ["1"]'))
    none = await accounts(*CREATE)
    assert (none.code, none.out) == (1, "")
    assert none.err.startswith("--auth: no authenticator of this deployment can do this; ")


@pytest.mark.parametrize(("name", "text"), helps("keys").items(), ids=helps("keys"))
def test_help_teaches(name: str, text: str) -> None:
    assert_teaching("keys", name, text)
