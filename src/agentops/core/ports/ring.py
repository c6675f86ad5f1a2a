"""Ring: what a feature can say of the keys with which it seals what it stores, for whatever seals it anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from agentops.core.secret import Secret


@runtime_checkable
class HasRing(Protocol):
    """An ability of a feature; ask with `isinstance(feature, HasRing)`."""

    @property
    def ring(self) -> Sequence[Secret]:
        """The first seals, and all of them open."""
        ...
