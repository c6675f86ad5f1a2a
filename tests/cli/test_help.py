"""Help teaches, and costs next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from agentops.cli.root import COMMANDS, main

if TYPE_CHECKING:
    from tests.cli.running import Folder

AGENTOPS = Path(sys.executable).with_name("agentops")
HEAVY = {"litestar", "sqlalchemy", "alembic", "rich", "uvicorn", "granian", "msgspec", "asyncio"}
COUNT_MODULES = """
import json, sys
from agentops.cli import main
try:
    main(sys.argv[1:], prog_name="agentops")
except SystemExit:
    print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=lambda given: " ".join(given) or "all")
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    command = [sys.executable, "-c", COUNT_MODULES, *arguments, "--help"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(json.loads(out.splitlines()[-1]))


def test_help_is_there_at_once() -> None:
    def seconds() -> float:
        begin = time.perf_counter()
        subprocess.run([AGENTOPS, "--help"], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) <= 0.4


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_with_an_example_and_its_exit_codes(name: str) -> None:
    context = click.Context(main, info_name="agentops")
    command = main.get_command(context, name)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=name, parent=context))
    assert COMMANDS[name] in text
    assert f"\n    agentops {name}" in text
    assert "Exit codes: 0 " in text
    assert "--debug" in text


async def test_a_mistyped_command_is_answered_with_the_nearest(folder: Folder) -> None:
    done = await folder.agentops("serv")
    assert done.code == 2
    assert "Did you mean 'serve'?" in done.err


async def test_version(folder: Folder) -> None:
    from agentops import __version__

    assert await folder.agentops("--version") == (0, f"agentops {__version__}\n", "")


def test_it_is_a_module_as_well() -> None:
    done = subprocess.run([sys.executable, "-m", "agentops", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: agentops ")
