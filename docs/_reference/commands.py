"""The command line's own help, command by command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentops import cli

if TYPE_CHECKING:
    from collections.abc import Iterator


def page() -> str:
    parts = ["# Commands\n", "What `agentops --help` says, and what each command says of itself.\n"]
    for name, text in helps(root(), "agentops"):
        parts += [f"## `{name}`\n", f"```text\n{text}\n```\n"]
    return "\n".join(parts)


def root() -> click.Command:
    found = next((value for value in vars(cli).values() if isinstance(value, click.Group)), None)
    if found is None:
        raise LookupError("agentops.cli has no click group")
    return found


def helps(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    settings = {**command.context_settings, "terminal_width": 100}
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, **settings)
    yield name, click.unstyle(command.get_help(context)).strip()
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            if found is not None and not found.hidden:
                yield from helps(found, f"{name} {sub}", context)
