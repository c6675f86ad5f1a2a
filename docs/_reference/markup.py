"""The little Markdown that the pages need."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def doc(thing: object) -> str:
    """The docstring written on this very thing, and not one it inherits."""
    return inspect.cleandoc(getattr(thing, "__doc__", None) or "")


def first_paragraph(thing: object) -> str:
    """The first paragraph of its docstring; an error without one is told by its title."""
    return doc(thing).partition("\n\n")[0] or str(getattr(thing, "title", ""))


def first_line(thing: object) -> str:
    return doc(thing).partition("\n")[0]
