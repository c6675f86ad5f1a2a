"""`agentops credits`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agentops.cli.accounts import accounts_in, operator, project_option, user_of
from agentops.cli.failures import Failure
from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.core.ports.storage import Storage
    from agentops.money.records import Balance, LedgerEntry

ENTRIES_MOST: Final = 10_000
_BELONG: Final = "credits belong to the id: say"
_HEADS: Final = ("when", "what", "dollars", "left", "call", "note")

_json_option: Final = click.option("--json", "as_json", is_flag=True, help="As JSON, in micro-dollars.")


@click.group
def command() -> None:
    """Grant credits for calls of models, and show what became of them.

    Works on the database itself, also while it is being served; what is granted can be spent from the next call on.
    Amounts are in dollars. SUBJECT is a user's id, or the subject of somebody whom another system knows. Every grant
    is in the ledger and in the audit trail, by `cli:` and your login name.

    Examples:
      agentops credits grant nightly-build 5 --note 'for May'
      agentops credits show nightly-build

    Exit codes: 0 done; 1 what was given is refused; 2 wrong usage; 3 the database cannot be reached or written to
    now, or has no schema yet (`agentops migrate` makes it); 130 interrupted.
    """


def _amount(_context: click.Context, _parameter: click.Parameter, given: str) -> int:
    from agentops.core.dollars import micro_of

    try:
        return micro_of(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@command.command("grant", context_settings={"ignore_unknown_options": True})
@click.argument("subject")
@click.argument("amount", callback=_amount)
@click.option("--tier", metavar="T", help="What GET /llm/credits tells as their tier; unchanged without it.")
@click.option("--note", metavar="TEXT", default="", help="Why, for the ledger.")
@project_option
@deployment_options
def grant(
    subject: str,
    amount: int,
    *,
    config: str | None,
    sets: tuple[str, ...],
    project: str,
    tier: str | None,
    note: str,
) -> None:
    """Give credits, or take some back.

    AMOUNT is in dollars, with 6 decimals at most: 5, 0.25. A negative one takes back, though never what is spent, or
    held for calls under way. With 0 only the tier changes.

    Examples:
      agentops credits grant nightly-build 5 --tier pro
      agentops credits grant nightly-build -0.25 --note 'granted twice'

    Exit codes: 0 granted; 1 so much cannot be taken back, or SUBJECT is a user's name; 2 wrong usage; 3 the database
    cannot be reached or written to now, or has no schema yet.
    """
    from agentops.cli.opening import run

    balance = run(_grant(load_deployment(config, sets).storage, project, subject, amount, tier=tier, note=note))
    click.echo(_in_words(subject, balance))


@command.command("show")
@click.argument("subject")
@_json_option
@project_option
@deployment_options
def show(subject: str, *, config: str | None, sets: tuple[str, ...], project: str, as_json: bool) -> None:
    """Tell what somebody has.

    Examples:
      agentops credits show nightly-build
      agentops credits show nightly-build --json | jq .remaining

    Exit codes: 0 told, or there are none; 1 SUBJECT is a user's name; 2 wrong usage; 3 the database cannot be read
    now.
    """
    from agentops.cli.opening import run
    from agentops.cli.tables import print_json

    balance = run(_balance(load_deployment(config, sets).storage, project, subject))
    if balance is None:
        click.echo(_none(subject, project), err=True)
    elif as_json:
        print_json([balance._asdict() | {"remaining": balance.remaining}])
    else:
        click.echo(_in_words(subject, balance))


@command.command("ledger")
@click.argument("subject")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, ENTRIES_MOST),
    default=50,
    show_default=True,
    help="How many at most.",
)
@_json_option
@project_option
@deployment_options
def show_ledger(
    subject: str, *, config: str | None, sets: tuple[str, ...], project: str, limit: int, as_json: bool
) -> None:
    """Show every change of somebody's credits, newest first.

    Examples:
      agentops credits ledger nightly-build
      agentops credits ledger nightly-build --limit 1000 --json | jq 'select(.kind == "call").amount'

    Exit codes: 0 shown, or there is none; 1 SUBJECT is a user's name; 2 wrong usage; 3 the database cannot be read
    now.
    """
    from agentops.cli.opening import run
    from agentops.cli.tables import print_json, print_table

    entries = run(_ledger(load_deployment(config, sets).storage, project, subject, limit))
    if as_json:
        print_json(entry._asdict() for entry in entries)
    elif entries:
        print_table(_HEADS, map(_row, entries))
    else:
        click.echo(_none(subject, project), err=True)


def _none(subject: str, project: str) -> str:
    return f"There are no credits of {subject!r} in project {project!r} yet."


def _in_words(subject: str, balance: Balance) -> str:
    from agentops.core.dollars import in_dollars

    held = f", of which {in_dollars(balance.held)} is held for calls under way" if balance.held else ""
    tier = f"; tier {balance.tier!r}" if balance.tier is not None else ""
    left, all_of_it = in_dollars(balance.remaining), in_dollars(balance.allocated)
    return f"{subject!r} has {left} of {all_of_it} dollars left{held}{tier}."


def _row(entry: LedgerEntry) -> Sequence[str]:
    from agentops.cli.tables import moment
    from agentops.core.dollars import in_dollars

    amount, left = in_dollars(entry.amount), in_dollars(entry.balance_after)
    return moment(entry.at), entry.kind, amount, left, entry.call or "-", entry.note


async def _grant(storage: Storage, project: str, subject: str, amount: int, *, tier: str | None, note: str) -> Balance:
    async with accounts_in(storage) as source:
        from agentops.money import credits as money

        user = await user_of(source, subject, _BELONG)
        if user is not None and user.project != project:
            raise Failure(f"{user.username!r} is a user of project {user.project!r}: say so with --project")
        return await money.grant(source, operator(project), subject, amount, note=note, tier=tier)


async def _balance(storage: Storage, project: str, subject: str) -> Balance | None:
    async with accounts_in(storage) as source:
        from agentops.money import credits as money

        await user_of(source, subject, _BELONG)
        return await money.balance(source, project, subject)


async def _ledger(storage: Storage, project: str, subject: str, limit: int) -> Sequence[LedgerEntry]:
    async with accounts_in(storage) as source:
        from agentops.money import credits as money

        await user_of(source, subject, _BELONG)
        return await money.ledger(source, project, subject, limit)
