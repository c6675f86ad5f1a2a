"""Every refusal that the core knows, with its status and code."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from agentops.core.config.settings import ErrorStyle
from agentops.core.errors import Refusal

from .markup import first_line, table

if TYPE_CHECKING:
    from collections.abc import Iterator


def refusals(root: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for refusal in root.__subclasses__():
        if refusal.__module__.startswith("agentops.core"):
            yield refusal
            yield from refusals(refusal)


def page() -> str:
    known = sorted(refusals(), key=lambda refusal: (refusal.status, refusal.__name__))
    rows = [(str(each.status), f"`{each.code}`", each.title, f"`{each.__name__}`", first_line(each)) for each in known]
    return (
        "# Errors\n\nA code is chosen once, where the error is raised; each lane renders it in its own style "
        f"({', '.join(f'`{style}`' for style in get_args(ErrorStyle))}). Below some paths a feature says which: "
        "whoever serves another system's API answers in that system's words.\n\n"
        + table(("status", "code", "title", "raised as", "means"), rows)
    )
