"""Finds the authenticator with an ability that something above it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from agentops.core.errors import StartError
from agentops.core.problem import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentops.core.ports.auth import Authenticator

A = TypeVar("A")


def able(auth: Mapping[str, Authenticator[Any]], ability: type[A], name: str) -> A:
    """The authenticator of this name, or the only one with the ability when no name is given."""
    problems = list(unable(auth, ability, name, ""))
    if problems:
        raise StartError("; ".join(f"{problem.what}: {problem.remedy}" for problem in problems))
    return next(part for key, part in auth.items() if isinstance(part, ability) and name in {"", key})


def unable(auth: Mapping[str, Authenticator[Any]], ability: type[A], name: str, why: str) -> Iterator[Problem]:
    """What is wrong with a setting `auth` that holds this name, or nothing."""
    found = [key for key, part in auth.items() if isinstance(part, ability)]
    if name and name not in found:
        what = f"the authenticator {name!r} cannot do this" if name in auth else f"no authenticator is called {name!r}"
        yield Problem("auth", what, why, nearest(name, found) if found else "add one that can")
    elif not name and not found:
        yield Problem("auth", "no authenticator of this deployment can do this", why, "add one that can")
    elif not name and len(found) > 1:
        several = " or ".join(repr(key) for key in found)
        yield Problem("auth", f"{len(found)} authenticators can do this", why, f"say which: {several}")
