"""What the commands on users, keys and the audit trail share: who does it, in which project, on which storage."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from agentops.cli.failures import Failure
from agentops.core.identity import DEFAULT_PROJECT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agentops.accounts.audit import Origin
    from agentops.accounts.users import User
    from agentops.core.ports.storage import Storage

PROJECT_MOST: Final = 200

F = TypeVar("F", bound=Callable[..., Any])


def _checked(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    if given is not None and not (given.isprintable() and 1 <= len(given) <= PROJECT_MOST):
        raise click.BadParameter(f"a project is named by 1 to {PROJECT_MOST} printable characters")
    return given


def project_option(function: F) -> F:
    """Add `--project`; the function is given `project`."""
    return click.option(
        "--project",
        metavar="P",
        default=DEFAULT_PROJECT,
        show_default=True,
        callback=_checked,
        help="The project that it is about.",
    )(function)


def projects_options(function: F) -> F:
    """Add `--project` and `--all-projects`; the function is given `project` and `every`, for `chosen`."""
    one = click.option(
        "--project", metavar="P", callback=_checked, help=f"Only this project; `{DEFAULT_PROJECT}` without it."
    )
    return one(click.option("--all-projects", "every", is_flag=True, help="All of them.")(function))


def chosen(project: str | None, every: bool) -> str | None:
    """Return the project that was asked for, or nothing for all of them."""
    if every and project is not None:
        raise click.UsageError("--project names one and --all-projects all: give one of the two")
    return None if every else project or DEFAULT_PROJECT


def in_words(project: str | None) -> str:
    return "any project" if project is None else f"project {project!r}"


def operator(project: str) -> Origin:
    """Whoever runs the command, as the audit trail names them."""
    from agentops.accounts.audit import Origin

    return Origin(project=project, actor=f"cli:{_login_name()}")


def _login_name() -> str:
    """By the id of the process: a variable such as USER holds whatever it was set to."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


@asynccontextmanager
async def accounts_in(storage: Storage) -> AsyncGenerator[Storage]:
    """Open the storage as it is: made by a typing error in its path, a second one would have users of its own."""
    from agentops.cli.opening import as_it_is, opened
    from agentops.core.errors import StartError

    if find_spec("argon2") is None:
        raise StartError(
            'argon2-cffi is not installed, which hashes passwords and keys: pip install "agentops-kit[auth]"'
        )
    async with opened(as_it_is(storage)) as source:
        yield source


async def user_of(storage: Storage, subject: str, belonging: str) -> User | None:
    """The user whose id this is; what belonged to the name would know nothing of the user's role or end."""
    from agentops.accounts.users import Users
    from agentops.core.errors import NotFound

    users = Users(storage)
    user = await users.get(subject)
    if user is None:
        with suppress(NotFound):
            named = await users.named(subject)
            raise Failure(f"{subject!r} is a user's name, and {belonging} {named.id}")
    return user
