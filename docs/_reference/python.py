"""The public names of the package."""

from __future__ import annotations

import inspect

import agentops

from .markup import first_paragraph, table


def page() -> str:
    named = {name: getattr(agentops, name) for name in agentops.__all__ if not name.startswith("_")}
    rows = [(f"`{name}`", sort_of(value), first_paragraph(value)) for name, value in named.items()]
    return f"# Python\n\n{inspect.cleandoc(agentops.__doc__ or '')}\n\n" + table(("name", "is a", "what it is"), rows)


def sort_of(value: object) -> str:
    if isinstance(value, type):
        return "error" if issubclass(value, Exception) else "class"
    return "function" if callable(value) else "value"
