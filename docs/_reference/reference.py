"""Every page of the reference, each a function that reads the code and returns Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import commands, configuration, errors, plugins, python, wire

if TYPE_CHECKING:
    from collections.abc import Callable

PAGES: Final[dict[str, Callable[[], str]]] = {
    "commands.md": commands.page,
    "configuration.md": configuration.page,
    "errors.md": errors.page,
    "plugins.md": plugins.page,
    "python.md": python.page,
    "wire.md": wire.page,
}
