"""`agentops credits`: what somebody may spend on calls of models, in dollars."""

from __future__ import annotations

import pytest

from tests.cli.accounts import ENGINES, ME, Accounts, assert_teaching, helps


@pytest.mark.parametrize("accounts", ENGINES, indirect=True)
async def test_credits_are_granted_shown_and_taken_back(accounts: Accounts) -> None:
    assert await accounts.done("credits", "grant", "robot", "5", "--note", "for May") == (
        "'robot' has 5.00 of 5.00 dollars left.\n"
    )
    assert await accounts.done("credits", "grant", "robot", "-0.250001", "--tier", "pro") == (
        "'robot' has 4.749999 of 4.749999 dollars left; tier 'pro'.\n"
    )
    assert await accounts.done("credits", "show", "robot") == (
        "'robot' has 4.749999 of 4.749999 dollars left; tier 'pro'.\n"
    )
    assert await accounts.lines("credits", "show", "robot", "--json") == [
        {"allocated": 4_749_999, "spent": 0, "held": 0, "tier": "pro", "remaining": 4_749_999}
    ]
    entries = await accounts.lines("credits", "ledger", "robot", "--json")
    changes = [(each["kind"], each["amount"], each["balance_before"], each["balance_after"]) for each in entries]
    assert changes == [("grant", -250_001, 5_000_000, 4_749_999), ("grant", 5_000_000, 0, 5_000_000)]
    assert [each["note"] for each in entries] == ["", "for May"]
    assert len(await accounts.lines("credits", "ledger", "robot", "--json", "--limit", "1")) == 1

    heads, *rows = (await accounts.done("credits", "ledger", "robot")).splitlines()
    assert heads.split() == ["when", "what", "dollars", "left", "call", "note"]
    assert [row.split()[2:5] for row in rows] == [["grant", "-0.250001", "4.749999"], ["grant", "5.00", "5.00"]]
    assert rows[1].endswith("for May")

    assert await accounts.trail() == [("credits.grant", "robot")] * 2
    first, second = await accounts.lines("audit", "export")
    assert first["actor"] == ME
    assert second["details"] == {"amount": -250_001, "note": "", "tier": "pro"}


async def test_more_than_there_is_cannot_be_taken_back(accounts: Accounts) -> None:
    told = (1, "", "Error: so much cannot be taken back: it is spent, or held for calls under way\n")
    assert await accounts("credits", "grant", "robot", "-1") == told
    await accounts.done("credits", "grant", "robot", "1")
    assert await accounts("credits", "grant", "robot", "-1.000001") == told
    assert await accounts.done("credits", "grant", "robot", "-1") == "'robot' has 0.00 of 0.00 dollars left.\n"
    assert len(await accounts.trail()) == 2


async def test_a_tier_changes_without_an_amount(accounts: Accounts) -> None:
    await accounts.done("credits", "grant", "robot", "1")
    await accounts.done("credits", "grant", "robot", "0", "--tier", "pro")
    assert await accounts.done("credits", "show", "robot") == "'robot' has 1.00 of 1.00 dollars left; tier 'pro'.\n"
    assert len(await accounts.lines("credits", "ledger", "robot", "--json")) == 1


async def test_projects_have_credits_of_their_own(accounts: Accounts) -> None:
    await accounts.done("credits", "grant", "robot", "1", "--project", "other")
    for command in ("show", "ledger"):
        nothing = (0, "", "There are no credits of 'robot' in project 'default' yet.\n")
        assert await accounts("credits", command, "robot") == nothing
    assert (await accounts.lines("credits", "show", "robot", "--json", "--project", "other"))[0]["remaining"] == 10**6
    assert await accounts.lines("credits", "ledger", "robot", "--json") == []


async def test_credits_belong_to_the_id_of_a_user_and_not_to_the_name(accounts: Accounts) -> None:
    ada = await accounts.add("ada")
    bob = await accounts.add("bob", "user", "--project", "other")
    named = (1, "", f"Error: 'ada' is a user's name, and credits belong to the id: say {ada}\n")
    for arguments in (["grant", "ada", "1"], ["show", "ada"], ["ledger", "ada"]):
        assert await accounts("credits", *arguments) == named
    elsewhere = "Error: 'bob' is a user of project 'other': say so with --project\n"
    assert await accounts("credits", "grant", bob, "1") == (1, "", elsewhere)
    await accounts.done("credits", "grant", ada, "1")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["grant", "robot", "five"], 2, "'five' is no amount in dollars; write 5 or 0.25"),
        (["grant", "robot", "0.0000001"], 2, "with 6 decimals at most"),
        (["grant", "robot", "1e3"], 2, "is no amount in dollars"),
        (["grant", "robot"], 2, "Missing argument 'AMOUNT'"),
        (["grant", "robot", "1", "--project", ""], 2, "a project is named by"),
        (["grant", "", "1"], 1, "a subject has 1 to 300 characters"),
        (["grant", "robot", "1", "--note", "x" * 501], 1, "a note has at most 500 characters"),
        (["ledger", "robot", "--limit", "0"], 2, "1<=x<="),
    ],
)
async def test_what_is_wrong_is_said(accounts: Accounts, arguments: list[str], code: int, said: str) -> None:
    finished = await accounts("credits", *arguments)
    assert (finished.code, finished.out) == (code, "")
    assert said in finished.err
    assert await accounts.trail() == []


async def test_a_database_that_is_not_there_is_not_made(accounts: Accounts) -> None:
    wrong = await accounts("credits", "grant", "robot", "1", "--set", "storage.path=other.sqlite")
    assert (wrong.code, wrong.out) == (3, "")
    assert not (accounts.folder.path / "other.sqlite").exists()


def test_each_command_teaches() -> None:
    texts = helps("credits")
    assert set(texts) == {"grant", "show", "ledger"}
    for name, text in texts.items():
        assert_teaching("credits", name, text)
