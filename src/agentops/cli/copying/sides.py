"""Which storages `--from` and `--to` mean: a configuration's, or a plugin's by its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from agentops.cli.failures import Failure
from agentops.cli.options import load_deployment
from agentops.core.discovery import find, known
from agentops.core.problem import ConfigurationError
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from agentops.core.ports.storage import Storage

ADDRESS: Final = "DATABASE_URL"
INSTEAD: Final = "`agentops export` and `agentops import` bring runs and events from any storage into any other"


def storage_of(option: str, named: str, config: str | None, sets: tuple[str, ...]) -> Storage[Any]:
    """A plugin's name means the storage of the configuration in effect, if that uses it."""
    if named not in known("storage"):
        return load_deployment(named, ()).storage
    deployment = load_deployment(config, sets)
    plugin = find("storage", named, option)
    if isinstance(deployment.storage, plugin):
        return deployment.storage
    if named == "postgres":
        return _at_the_usual_address(plugin, option)
    used = type(deployment.storage).__name__.lower()
    raise Failure(
        f"{option} {named}: the configuration in effect, {deployment.source}, uses {used}. Name a configuration file "
        f"whose [storage] is meant: {option} FILE"
    )


def _at_the_usual_address(plugin: type[Any], option: str) -> Storage[Any]:
    """The variable that the deployments which ship take it from as well."""
    url = os.environ.get(ADDRESS)
    if not url:
        raise Failure(
            f"{option} postgres: nothing says where that is. Set {ADDRESS}=postgresql://user:password@host:port/database,"
            f" or name a configuration file whose [storage] is meant: {option} FILE"
        )
    storage: Storage[Any] = plugin(url=Secret(url))
    problems = [problem.within(ADDRESS) for problem in storage.check()]
    if problems:
        raise ConfigurationError(problems)
    return storage
