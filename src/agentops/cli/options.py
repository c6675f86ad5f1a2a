"""The options of every command that needs a deployment, and what they lead to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from agentops.core.deployment import Deployment

LOCAL_FILE: Final = "agentops.toml"

F = TypeVar("F", bound=Callable[..., Any])


def deployment_options(function: F) -> F:
    """Add `--config` and `--set`; the function is given `config` and `sets`."""
    config = click.option(
        "--config",
        "-c",
        metavar="FILE|NAME",
        envvar="AGENTOPS_CONFIG",
        show_envvar=True,
        callback=_or_found_here,
        help=f"A file, or the name of a deployment that ships. Without it: ./{LOCAL_FILE} if there is one, "
        "else `dashboard`.",
    )
    sets = click.option(
        "--set",
        "sets",
        metavar="KEY=VALUE",
        multiple=True,
        help="A setting over those of the file, such as storage.path=/data/agentops.sqlite. May be repeated.",
    )
    return config(sets(function))


def load_deployment(config: str | None, sets: tuple[str, ...]) -> Deployment:
    """Make and check every part; start none."""
    from agentops.core.config.load import load

    return load(config, environ=os.environ, sets=sets)


def _or_found_here(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    return given or (LOCAL_FILE if Path(LOCAL_FILE).is_file() else None)
