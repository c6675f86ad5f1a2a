"""The group of all commands, and the one place where what they raise becomes a sentence and an exit code."""

from __future__ import annotations

import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from inspect import cleandoc
from typing import Any, Final

import click

from agentops._version import __version__
from agentops.cli.failures import INTERRUPTED, Failure, explain

COMMANDS: Final = {
    "serve": "Serve a deployment.",
    "check": "Say what is wrong with a deployment, or what it is.",
    "doctor": "Say what is wrong where a deployment runs.",
    "init": "Write a configuration file to start from.",
    "schema": "Print the JSON Schema of configuration files.",
    "users": "Make and change the users who sign in with a password.",
    "keys": "Make, revoke and replace API keys.",
    "credits": "Grant credits for calls of models, and show what became of them.",
    "provider-keys": "Look after the keys that users have at providers of models.",
    "audit": "Read the audit trail.",
    "tail": "Print the events of a run, and follow it live.",
    "export": "Write runs and events as NDJSON.",
    "import": "Read back what `export` wrote.",
    "backup": "Copy the database while it is being served.",
    "copy": "Copy everything into another kind of database while it is served.",
    "prune": "Delete all but the newest events of each run.",
    "migrate": "Bring the database's schema up to date.",
}

_DEBUG: Final = "agentops.debug"


def _keep_debug(context: click.Context, _parameter: click.Parameter, given: bool) -> None:
    if given:
        context.meta[_DEBUG] = True


_debug_option: Final = click.Option(
    ["--debug"], is_flag=True, is_eager=True, expose_value=False, callback=_keep_debug, help="Show tracebacks."
)


class Commands(click.Group):
    """Knows its commands by name, and imports the module of the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            nearest = get_close_matches(cmd_name, COMMANDS, n=1)
            raise click.exceptions.NoSuchCommand(cmd_name, possibilities=nearest, ctx=ctx)
        module = "import_" if cmd_name == "import" else cmd_name.replace("-", "_")
        command: click.Command = import_module(f"agentops.cli.commands.{module}").command
        if _debug_option not in command.params:
            _complete(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if sys.stderr.isatty():
                click.echo(err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except (click.exceptions.Exit, click.Abort, click.UsageError, BrokenPipeError):
            raise
        except Exception as error:
            if _DEBUG in ctx.meta:
                traceback.print_exception(error)
            raise (error if isinstance(error, Failure) else explain(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="agentops", message="%(prog)s %(version)s")
def main() -> None:
    """Record what AI agents do, stream it live, and decide who may do what.

    `agentops serve` starts a server from a configuration file: ./agentops.toml if there is one, else the
    deployment that ships as the default. `agentops COMMAND --help` tells what a command does, with an example.

    First steps:
      agentops serve                         serve the default on http://127.0.0.1:8787
      agentops tail my-run --follow          watch a run of that server
      agentops init && agentops check        a configuration of your own, and what it says

    Exit codes of every command:
      0    done
      1    what was given is wrong: configuration, file, run or key
      2    wrong usage
      3    what it needs cannot be had now: a port, the database, a server, room on the disk
      130  interrupted
    """
    if "" not in sys.path:
        sys.path.insert(0, "")  # so that `use = "badges:Badge"` finds the badges.py of the folder one works in


def _complete(command: click.Command) -> None:
    """Give it and those in it `--debug`, and keep the lines of its help where they are indented: click joins them."""
    command.params.append(_debug_option)
    paragraphs = cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(f"\b\n{text}" if "\n  " in text else text for text in paragraphs)
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _complete(inner)


_complete(main)
