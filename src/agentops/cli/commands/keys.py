"""`agentops keys`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from agentops.cli.accounts import accounts_in, operator, project_option, user_of
from agentops.cli.failures import Failure
from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from agentops.accounts.keys import Key
    from agentops.accounts.wanted_key import Granter
    from agentops.core.deployment import Deployment
    from agentops.core.ports.storage import Storage

_NO_PREFIX: Final = ""
"""For what makes no key: only the text of a new one needs a prefix."""

_BELONG: Final = "keys belong to the id: say --owner"

_auth_option: Final = click.option(
    "--auth", metavar="NAME", help="The authenticator that it is for: [auth.NAME]; needed where several take keys."
)


@click.group
def command() -> None:
    """Make, revoke and replace API keys.

    Works on the database itself, also while it is being served; what is changed holds from the next request on. Only
    a hash of a key is kept, so its text is shown once. Every change is in the audit trail, by `cli:` and your login
    name.

    Examples:
      agentops keys create --owner nightly-build --name ci --permission runs:write
      agentops keys list

    Exit codes: 0 done; 1 no such key, or what was given is refused; 2 wrong usage; 3 the database cannot be reached
    or written to now, or has no schema yet (`agentops migrate` makes it); 130 interrupted.
    """


@command.command("create")
@click.option(
    "--owner",
    metavar="SUBJECT",
    required=True,
    help="A user's id, or the subject of somebody whom another system knows.",
)
@click.option("--name", metavar="N", required=True, help="What the key is for.")
@click.option(
    "--days",
    metavar="N",
    type=click.IntRange(1, 365),
    default=90,
    show_default=True,
    help="Until it expires, 1 to 365.",
)
@click.option("--permission", "permissions", metavar="P", multiple=True, help="What it allows; may be repeated.")
@click.option("--network", "networks", metavar="CIDR", multiple=True, help="Good from here only; may be repeated.")
@click.option("--rate", "rates", metavar="R", multiple=True, help="In place of the lane's, as 100/m; may be repeated.")
@click.option(
    "--llm",
    "limits",
    metavar="LIMIT=N",
    multiple=True,
    help="What it may ask of models, as budget_day=5.00; may be repeated.",
)
@_auth_option
@project_option
@deployment_options
def create(
    config: str | None, sets: tuple[str, ...], auth: str | None, project: str, limits: tuple[str, ...], **given: Any
) -> None:
    """Make a key, and print it: this once.

    The key alone goes to standard output, and what there is to say of it to standard error. It allows what
    --permission names, such as runs:read or runs:*, and never more than its owner may; without one it allows nothing.

    Its calls of models are limited by --llm: models (names, with commas between them), requests_per_minute,
    tokens_per_minute, parallel, and in dollars budget_day, budget_month and cost_per_call.

    Examples:
      KEY=$(agentops keys create --owner nightly-build --name ci --permission runs:write)
      agentops keys create --owner usr_0f3a… --name laptop --days 30 --permission 'runs:*' --network 192.0.2.0/24
      agentops keys create --owner tutor --name web --llm models=small,large --llm budget_day=5.00

    Exit codes: 0 made; 1 no such permission or owner, or no authenticator of the file takes keys; 2 wrong usage;
    3 the database cannot be reached or written to now, or has no schema yet.
    """
    from agentops.cli.allowances import allowance_from
    from agentops.cli.key_words import in_words, nothing_allowed
    from agentops.cli.opening import run

    deployment = load_deployment(config, sets)
    prefix = _prefix(deployment, auth)
    _check_permissions(deployment, given["permissions"])
    given["llm"] = allowance_from(limits)
    if given["rates"] and deployment.limiter is None:
        raise Failure("nothing would count what --rate allows: add a table [limiter] to the configuration")
    key, text = run(_create(deployment, prefix, project, given))
    click.echo(f"Made the key {key.id}: {in_words(key)}.", err=True)
    if not key.permissions:
        click.echo(f"Warning: {nothing_allowed(key, deployment.permissions)}", err=True)
    _show_once(text)


@command.command("list")
@click.option("--owner", metavar="SUBJECT", help="Only the keys of this one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@project_option
@deployment_options
def list_keys(config: str | None, sets: tuple[str, ...], project: str, owner: str | None, as_json: bool) -> None:
    """List the keys, newest first, those that expired or were revoked too.

    Of each its first characters are shown. Its state is active, expired or revoked.

    Examples:
      agentops keys list
      agentops keys list --owner nightly-build --json | jq 'select(.state == "active").id'

    Exit codes: 0 listed; 1 no such owner; 2 wrong usage; 3 the database cannot be read now.
    """
    from agentops.cli.key_words import HEADS, row
    from agentops.cli.opening import run
    from agentops.cli.tables import print_json, print_table

    keys = run(_listed(load_deployment(config, sets).storage, project, owner))
    if as_json:
        print_json(key._asdict() | {"state": key.state} for key in keys)
    elif keys:
        print_table(HEADS, map(row, keys))
    else:
        whose = "" if owner is None else f" of {owner!r}"
        click.echo(f"There are no keys{whose} in project {project!r}.", err=True)


@command.command("revoke")
@click.argument("key_id")
@project_option
@deployment_options
def revoke(config: str | None, sets: tuple[str, ...], project: str, key_id: str) -> None:
    """Refuse a key from the next request on.

    KEY_ID is the id that `create` and `list` show, and not the key. The key stays in the list, for the audit.

    Example:
      agentops keys revoke 6f1d0c2b9a8e7d45

    Exit codes: 0 revoked, or was before; 1 no such key; 2 wrong usage; 3 the database cannot be written to now.
    """
    from agentops.cli.opening import run

    run(_revoke(load_deployment(config, sets).storage, project, key_id))
    click.echo(f"The key {key_id} is revoked.")


@command.command("rotate")
@click.argument("key_id")
@click.option(
    "--grace",
    metavar="SECONDS",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="How long the old one lives on.",
)
@_auth_option
@project_option
@deployment_options
def rotate(
    key_id: str, *, config: str | None, sets: tuple[str, ...], auth: str | None, project: str, grace: int
) -> None:
    """Put a new key in the place of one, and print it: this once.

    The new key has the owner, the name, the permissions, the networks and the limits of the old one, and lives as long
    as that was made for; what the old one spent on models stays spent. The old one lives on for the grace, but never
    past its own end; without a grace it is refused from the next request on.

    Example:
      KEY=$(agentops keys rotate 6f1d0c2b9a8e7d45 --grace 3600)

    Exit codes: 0 made; 1 no such key, or it expired, was revoked or rotated before; 2 wrong usage; 3 the database
    cannot be written to now.
    """
    from agentops.cli.key_words import in_words
    from agentops.cli.opening import run

    deployment = load_deployment(config, sets)
    prefix = _prefix(deployment, auth)
    key, text = run(_rotate(deployment, prefix, project, key_id, grace))
    end = f"lives on for {grace} s at most" if grace else "is refused from now on"
    click.echo(f"Made the key {key.id} in the place of {key_id}, which {end}: {in_words(key)}.", err=True)
    _show_once(text)


def _show_once(text: str) -> None:
    click.echo("Keep it now: it is shown this once, and only a hash of it is stored.", err=True)
    click.echo(text)


def _prefix(deployment: Deployment, name: str | None) -> str:
    """What the keys of this authenticator begin with, or of the only one that takes any."""
    from agentops.core.abilities import able, unable
    from agentops.core.ports.keys import MakesKeys
    from agentops.core.problem import ConfigurationError

    why = "a key is for one authenticator, a hashed-keys one, and begins as that says"
    problems = [replace(problem, key="--auth") for problem in unable(deployment.auth, MakesKeys, name or "", why)]
    if problems:
        raise ConfigurationError(problems)
    return able(deployment.auth, MakesKeys, name or "").prefix


def _check_permissions(deployment: Deployment, wanted: Sequence[str]) -> None:
    """All that are unknown at once, each with the nearest there is; the service would refuse the first."""
    from agentops.core.permissions import unknown
    from agentops.core.problem import ConfigurationError, Problem, nearest

    registry = deployment.permissions
    problems = [
        Problem("--permission", f"there is no permission {wrong!r}", "it would allow nothing", nearest(wrong, registry))
        for wrong in unknown(wanted, registry)
    ]
    if problems:
        raise ConfigurationError(problems)


def _granter(deployment: Deployment) -> Granter:
    """Whoever reaches the database holds every right there is."""
    from agentops.accounts.wanted_key import Granter

    return Granter(permissions={"*"}, registry=deployment.permissions)


async def _create(deployment: Deployment, prefix: str, project: str, given: dict[str, Any]) -> tuple[Key, str]:
    async with accounts_in(deployment.storage) as source:
        from agentops.accounts.keys import Keys
        from agentops.accounts.wanted_key import Wanted

        wanted = Wanted(**given)
        user = await user_of(source, wanted.owner, _BELONG)
        if user is not None and user.disabled_at is not None:
            raise Failure(f"the user {user.username!r} is disabled: nobody would be let in with the key")
        if user is not None and user.project != project:
            raise Failure(f"{user.username!r} is a user of project {user.project!r}: say so with --project")
        return await Keys(source, prefix).create(operator(project), wanted, _granter(deployment))


async def _listed(storage: Storage, project: str, owner: str | None) -> Sequence[Key]:
    async with accounts_in(storage) as source:
        from agentops.accounts.keys import Keys

        keys = Keys(source, _NO_PREFIX)
        if owner is None:
            return await keys.of_project(project)
        await user_of(source, owner, _BELONG)
        return await keys.of_owner(project, owner)


async def _revoke(storage: Storage, project: str, key_id: str) -> None:
    async with accounts_in(storage) as source:
        from agentops.accounts.keys import Keys

        with _ids_explained(project):
            await Keys(source, _NO_PREFIX).revoke(operator(project), None, key_id)


async def _rotate(deployment: Deployment, prefix: str, project: str, key_id: str, grace: int) -> tuple[Key, str]:
    async with accounts_in(deployment.storage) as source:
        from agentops.accounts.keys import Keys

        with _ids_explained(project):
            return await Keys(source, prefix).rotate(operator(project), None, key_id, grace, _granter(deployment))


@contextmanager
def _ids_explained(project: str) -> Generator[None]:
    """Say where ids are found. What was given is not repeated, since it may be a key."""
    from agentops.core.errors import NotFound

    try:
        yield
    except NotFound:
        raise Failure(f"project {project!r} has no key of this id: `agentops keys list` shows them") from None
