"""Feature: routes, and what stands behind them. A lane serves any number."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from agentops.core.plugin import Kind, Plugin, S
from agentops.core.ports.auth import Authenticator
from agentops.core.ports.model import Model
from agentops.core.problem import Problem

if TYPE_CHECKING:
    from agentops.core.config.settings import ErrorStyle


class Feature(Plugin[S]):
    """Makes the routes of a lane; one object may be served by several lanes."""

    kind: ClassVar[Kind] = "feature"
    may_be_open: ClassVar[bool] = True
    """Whether a lane without authenticators may serve it."""
    permissions: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """The permissions that its routes ask for, each with what it allows; no others exist."""
    error_styles: ClassVar[Mapping[str, ErrorStyle]] = MappingProxyType({})
    """How errors look below some of its paths, whatever its lane says: `{"/llm": "openai"}`.

    The longest path holds, for what is at no route too. A client of another system's API parses no other errors.
    """

    def check_beside(self, auth: Mapping[str, Authenticator], models: Mapping[str, Model]) -> Iterable[Problem]:
        """Say what is wrong with its settings beside these; like `check`, it starts nothing."""
        return ()

    @abstractmethod
    def routes(self) -> Sequence[object]:
        """Return new Litestar handlers or routers, their paths relative to the lane.

        Each says what it needs: `opt={"permission": "runs:read"}`, or `opt={"public": True}`.
        """
