"""The public names: few, sorted, all there, and each of them documented."""

from __future__ import annotations

import agentops
from _reference.markup import first_paragraph


def test_names_are_sorted() -> None:
    assert sorted(agentops.__all__) == agentops.__all__


def test_names_are_there_and_nothing_else_is() -> None:
    assert dir(agentops) == agentops.__all__
    assert all(getattr(agentops, name) is not None for name in agentops.__all__)


def test_names_say_what_they_are() -> None:
    named = {name: getattr(agentops, name) for name in agentops.__all__ if not name.startswith("_")}
    assert [name for name, value in named.items() if not first_paragraph(value)] == []
