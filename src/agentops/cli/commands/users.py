"""`agentops users`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from agentops.cli.accounts import accounts_in, chosen, in_words, operator, project_option, projects_options
from agentops.cli.failures import Failure
from agentops.cli.options import deployment_options, load_deployment
from agentops.core.permissions import ROLES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from agentops.accounts.users import User, Users
    from agentops.core.ports.storage import Storage

F = TypeVar("F", bound=Callable[..., Any])

_HEADS: Final = ("id", "name", "e-mail", "role", "project", "made", "disabled")


def _password_option(function: F) -> F:
    return click.option(
        "--password-file",
        metavar="FILE",
        type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
        help="Its first line is the password; - is standard input. Without it, the terminal is asked.",
    )(function)


@click.group
def command() -> None:
    """Make and change the users who sign in with a password.

    Works on the database itself, also while it is being served; what is changed holds from the next request on. The
    first admin is made like this. A name belongs to one user in all projects, however it is written. Every change is
    in the audit trail, by `cli:` and your login name.

    Examples:
      agentops users add ada --email ada@example.com --role admin
      agentops users list

    Exit codes: 0 done; 1 no such user, or what was given is refused; 2 wrong usage; 3 the database cannot be reached
    or written to now, or has no schema yet (`agentops migrate` makes it); 130 interrupted.
    """


@command.command("add")
@click.argument("name")
@click.option("--email", metavar="E", required=True, help="An address that no other user has.")
@click.option("--role", type=click.Choice(list(ROLES)), required=True, help="What the user may do.")
@_password_option
@project_option
@deployment_options
def add(config: str | None, sets: tuple[str, ...], project: str, **given: Any) -> None:
    """Make a user, and print the id.

    The password has 8 characters or more. It is asked for twice at the terminal, or read from a file or standard
    input: as an argument it would be seen in the list of processes.

    Examples:
      agentops users add ada --email ada@example.com --role admin
      agentops users add robot --email ops@example.com --role agent_operator --password-file - < password.txt

    Exit codes: 0 made; 1 the name or the address is taken, or what was given is refused; 2 wrong usage;
    3 the database cannot be reached or written to now, or has no schema yet; 130 interrupted.
    """
    from agentops.cli.opening import run

    user = run(_add(load_deployment(config, sets).storage, project, **given))
    click.echo(f"Made the user {user.username!r} with the role {user.role!r} in project {user.project!r}.", err=True)
    click.echo(user.id)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@projects_options
@deployment_options
def list_users(config: str | None, sets: tuple[str, ...], project: str | None, every: bool, as_json: bool) -> None:
    """List the users, by name; never their passwords.

    Examples:
      agentops users list
      agentops users list --all-projects --json | jq .username

    Exit codes: 0 listed; 1 wrong configuration; 2 wrong usage; 3 the database cannot be read now.
    """
    from agentops.cli.opening import run
    from agentops.cli.tables import print_json, print_table

    wanted = chosen(project, every)
    users = run(_listed(load_deployment(config, sets).storage, wanted))
    if as_json:
        print_json(user._asdict() for user in users)
    elif users:
        print_table(_HEADS, map(_row, users))
    else:
        click.echo(f"There are no users in {in_words(wanted)}.", err=True)


@command.command("disable")
@click.argument("name")
@project_option
@deployment_options
def disable(config: str | None, sets: tuple[str, ...], project: str, name: str) -> None:
    """Let nobody in as this user any more.

    Neither the password nor a token nor a key of the user is good for anything from the next request on. The user
    stays in the list, for the audit.

    Example:
      agentops users disable ada

    Exit codes: 0 disabled, or was before; 1 no such user; 2 wrong usage; 3 the database cannot be written to now.
    """
    from agentops.cli.opening import run

    before = run(_disable(load_deployment(config, sets).storage, project, name))
    done = "is disabled, and signed out everywhere" if before.disabled_at is None else "was disabled before"
    click.echo(f"{before.username!r} {done}.")


@command.command("enable")
@click.argument("name")
@project_option
@deployment_options
def enable(config: str | None, sets: tuple[str, ...], project: str, name: str) -> None:
    """Let a user in again who was disabled.

    The password is good again from the next request on, and so is each key that has neither expired nor been
    revoked. Whoever was signed in has to sign in anew.

    Example:
      agentops users enable ada

    Exit codes: 0 enabled, or was not disabled; 1 no such user; 2 wrong usage; 3 the database cannot be written to
    now.
    """
    from agentops.cli.opening import run

    before = run(_enable(load_deployment(config, sets).storage, project, name))
    done = "was not disabled" if before.disabled_at is None else "is enabled, and may sign in again"
    click.echo(f"{before.username!r} {done}.")


@command.command("passwd")
@click.argument("name")
@_password_option
@project_option
@deployment_options
def passwd(config: str | None, sets: tuple[str, ...], project: str, name: str, password_file: Path | None) -> None:
    """Give a user another password.

    Whoever signed in with the old one is signed out.

    Examples:
      agentops users passwd ada
      agentops users passwd ada --password-file - < password.txt

    Exit codes: 0 changed; 1 no such user, or the password is refused; 2 wrong usage; 3 the database cannot be
    written to now; 130 interrupted, and the old one holds.
    """
    from agentops.cli.opening import run

    user = run(_passwd(load_deployment(config, sets).storage, project, name, password_file))
    click.echo(f"{user.username!r} has a new password, and is signed out everywhere.")


@command.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(list(ROLES)))
@project_option
@deployment_options
def set_role(config: str | None, sets: tuple[str, ...], project: str, name: str, role: str) -> None:
    """Give a user another role.

    It holds from the next request on, also for what the user's keys may do.

    Example:
      agentops users role ada developer

    Exit codes: 0 changed; 1 no such user; 2 no such role, or other wrong usage; 3 the database cannot be written to
    now.
    """
    from agentops.cli.opening import run

    before, after = run(_role(load_deployment(config, sets).storage, project, name, role))
    click.echo(f"{after.username!r} is now {after.role!r}, and was {before.role!r}.")


async def _add(storage: Storage, project: str, *, name: str, email: str, role: str, password_file: Path | None) -> User:
    async with _users_in(storage) as users:
        from agentops.accounts.users import NewUser
        from agentops.cli.passwords import read_password

        new = NewUser(name, email, read_password(password_file), role)
        return await users.add(operator(project), new, granted_by={"*"})


async def _listed(storage: Storage, project: str | None) -> Sequence[User]:
    async with _users_in(storage) as users:
        return await users.listed(project)


def _row(user: User) -> Sequence[str]:
    from agentops.cli.tables import moment

    disabled = "" if user.disabled_at is None else moment(user.disabled_at)
    return user.id, user.username, user.email, user.role, user.project, moment(user.created_at), disabled


async def _disable(storage: Storage, project: str, name: str) -> User:
    async with _users_in(storage) as users:
        before = await _known(users, project, name)
        await users.disable(operator(project), name)
        return before


async def _enable(storage: Storage, project: str, name: str) -> User:
    async with _users_in(storage) as users:
        before = await _known(users, project, name)
        await users.enable(operator(project), name)
        return before


async def _passwd(storage: Storage, project: str, name: str, password_file: Path | None) -> User:
    async with _users_in(storage) as users:
        from agentops.cli.passwords import read_password

        await _known(users, project, name)
        return await users.set_password(operator(project), name, read_password(password_file))


async def _role(storage: Storage, project: str, name: str, role: str) -> tuple[User, User]:
    async with _users_in(storage) as users:
        before = await _known(users, project, name)
        return before, await users.set_role(operator(project), name, role)


@asynccontextmanager
async def _users_in(storage: Storage) -> AsyncGenerator[Users]:
    async with accounts_in(storage) as source:
        from agentops.accounts.users import Users

        yield Users(source)


async def _known(users: Users, project: str, name: str) -> User:
    """The user of that name, who must be of this project: nobody is changed by mistake who is of another."""
    from agentops.core.errors import NotFound
    from agentops.core.problem import closest

    try:
        user = await users.named(name)
    except NotFound:
        meant = closest(name, [user.username for user in await users.listed(project)])
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise Failure(f"there is no user {name!r} in project {project!r}{hint}") from None
    if user.project != project:
        raise Failure(f"{user.username!r} is a user of project {user.project!r}: say so with --project")
    return user
