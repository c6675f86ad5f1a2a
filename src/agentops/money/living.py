"""The calls of this instance that hold something."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.money.wants import Held


@dataclass(slots=True)
class Living:
    """What a call under way holds, and until when; once it is being settled, what it spends of which project."""

    held: Mapping[str, Held]
    expires_at: int
    is_settling: bool = False
    project: str = ""
    spends: Mapping[str, int] = field(default_factory=dict[str, int])
