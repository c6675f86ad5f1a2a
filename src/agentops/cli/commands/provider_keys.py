"""`agentops provider-keys`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from agentops.cli.accounts import accounts_in, chosen, in_words, operator, projects_options
from agentops.cli.failures import Failure
from agentops.cli.options import deployment_options, load_deployment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.accounts.own_keys import OwnKey, Resealed
    from agentops.accounts.ring import Ring
    from agentops.core.deployment import Deployment
    from agentops.core.ports.storage import Storage

HEADS: Final = ("project", "owner", "provider", "key", "sealed with", "stored", "last used")
NAMED_MOST: Final = 20


@click.group
def command() -> None:
    """Look after the keys that users have at providers of models.

    Users store them at /llm/byok/keys, and their calls are made with them. They are sealed with the first key of the
    `ring` in [features.gateway], and opened with any key of it. No command shows one.

    Examples:
      agentops provider-keys list
      agentops provider-keys rotate

    Exit codes: 0 done; 1 there is no ring, or some cannot be read; 2 wrong usage; 3 the database cannot be reached or
    written to now, or has no schema yet; 130 interrupted.
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@projects_options
@deployment_options
def list_keys(config: str | None, sets: tuple[str, ...], project: str | None, every: bool, as_json: bool) -> None:
    """List who has a key at which provider.

    Of each its last characters are shown, and the name of the key of the ring that sealed it: one that seals nothing
    any more can be taken off the ring.

    Examples:
      agentops provider-keys list
      agentops provider-keys list --all-projects --json | jq -r .ring | sort | uniq -c

    Exit codes: 0 listed; 2 wrong usage; 3 the database cannot be read now.
    """
    from agentops.cli.opening import run
    from agentops.cli.tables import print_json, print_table

    wanted = chosen(project, every)
    found = run(_listed(load_deployment(config, sets).storage, wanted))
    if as_json:
        print_json(key._asdict() for key in found)
    elif found:
        print_table(HEADS, map(_row, found))
    else:
        click.echo(f"There are no keys for providers in {in_words(wanted)}.", err=True)


@command.command("rotate")
@deployment_options
def rotate(config: str | None, sets: tuple[str, ...]) -> None:
    """Seal all of them with the first key of the ring.

    To replace the key that seals: write a new one at the end of the ring and restart every server, so that all of
    them can open what it seals; put it first and restart them again; run this; take the old one off the ring. It
    works while servers serve, and goes on where it was interrupted.

    Example:
      agentops provider-keys rotate --config agentops.toml

    Exit codes: 0 all are sealed with it; 1 there is no ring, or some keys cannot be read and are left as they are;
    2 wrong usage; 3 the database cannot be written to now.
    """
    from agentops.cli.opening import run

    deployment = load_deployment(config, sets)
    ring = _ring(deployment)
    done = run(_resealed(deployment.storage, ring))
    click.echo(f"Sealed {done.anew:,} {'key' if done.anew == 1 else 'keys'} anew with {ring.first}.")
    if done.unreadable:
        named = [f"{key.provider!r} of {key.owner!r} in {key.project!r}" for key in done.unreadable[:NAMED_MOST]]
        more = len(done.unreadable) - len(named)
        raise Failure(
            f"{len(done.unreadable):,} cannot be read, for the key that sealed them is not on the ring, or they were "
            f"changed: {', '.join(named)}{f', and {more:,} more' if more else ''}. Put that key back on the ring, or "
            "have their owners store theirs again"
        )


def _ring(deployment: Deployment) -> Ring:
    from agentops.accounts.ring import Ring
    from agentops.core.ports.ring import HasRing

    for feature in deployment.features:
        if isinstance(feature, HasRing) and feature.ring:
            return Ring(feature.ring)
    raise Failure("this deployment has no ring: write `ring` in [features.gateway], and serve the feature in a lane")


async def _listed(storage: Storage, project: str | None) -> Sequence[OwnKey]:
    async with accounts_in(storage) as source:
        from agentops.accounts.own_keys import listed

        return await listed(source, project)


async def _resealed(storage: Storage, ring: Ring) -> Resealed:
    async with accounts_in(storage) as source:
        from agentops.accounts.own_keys import reseal

        return await reseal(source, ring, operator)


def _row(key: OwnKey) -> Sequence[str]:
    from agentops.cli.tables import moment

    used = "never" if key.last_used_at is None else moment(key.last_used_at)
    return key.project, key.owner, key.provider, f"…{key.shown}", key.ring, moment(key.created_at), used
