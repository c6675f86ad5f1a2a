"""`agentops schema`."""

from __future__ import annotations

import json

import click


@click.command
def command() -> None:
    """Print the JSON Schema of configuration files.

    It knows the settings of every plugin that is installed. Give it to an editor, which then completes keys and
    marks mistakes; for Taplo and VS Code, `#:schema agentops.schema.json` is the first line of the TOML file.

    Example:
      agentops schema > agentops.schema.json

    Exit codes: 0 printed; 2 wrong usage.
    """
    from agentops.core.config.schema import schema

    click.echo(json.dumps(schema(), indent=2, ensure_ascii=False))
