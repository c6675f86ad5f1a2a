"""Who is asked for a model: in which order, and when another is worth asking."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from agentops.core.errors import Unavailable
from agentops.core.ports.model import ModelFault, ModelLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.plugins.features.gateway.settings import TargetSettings

_REFUSED: Final = 400
_FAULTY: Final = 500
_THEIR_FAULT: Final = frozenset({401, 402, 403, 404, 408, 409, 425, 429})
"""Of a provider that refuses us, or has not got the model: another may."""

_random: Final = random.Random()  # noqa: S311 - nobody gains by guessing who is asked


def in_order(targets: Sequence[TargetSettings]) -> list[TargetSettings]:
    """Those with a weight first, drawn by it; then the others as they are listed."""
    weighted = [target for target in targets if target.weight]
    if len(targets) == 1 or not weighted:
        return [*targets]
    drawn = sorted(weighted, key=lambda target: _random.random() ** (1 / target.weight), reverse=True)
    return [*drawn, *(target for target in targets if not target.weight)]


def may_go_to_another(error: Exception) -> bool:
    """Whether what went wrong is this provider's, and not the request's."""
    if isinstance(error, (ModelLost, Unavailable)):
        return True
    if not isinstance(error, ModelFault) or error.status is None:
        return False
    return not _REFUSED <= error.status < _FAULTY or error.status in _THEIR_FAULT
