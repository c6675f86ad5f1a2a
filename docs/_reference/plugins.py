"""The kinds of plugin in ladder order, and what is built in of each."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from agentops.core.plugin import LADDER

from .installed import built_in
from .markup import doc, first_paragraph, table

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


ABOUT: Final = """# Plugins

In ladder order: each kind may use those above it on this page, and never another plugin. One of your own is named by
its entry point, or by `use = "package.module:Class"`.
"""


def page() -> str:
    parts = [ABOUT]
    for kind in LADDER:
        port = importlib.import_module(f"agentops.core.ports.{kind}")
        parts += [f"## {kind}\n", doc(port) + "\n", f"Entry point group `agentops.{kind}`; port `{port.__name__}`.\n"]
        rows = [(f"`{entry.name}`", first_paragraph(entry.load()), _needs(entry)) for entry in built_in(kind)]
        parts.append(table(("built in", "what it is", "needs"), rows) if rows else "None is built in yet.\n")
    return "\n".join(parts)


def _needs(entry: EntryPoint) -> str:
    return f"`agentops-kit[{','.join(entry.extras)}]`" if entry.extras else "nothing more"
