"""What may be allowed: a closed registry of permissions, the roles made of them, and how rights are compared.

A right is `resource:action`, `resource:*` for everything of a resource, or `*` for everything there is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

_SHAPE: Final = re.compile(r"(\*|[a-z][a-z0-9_-]*:(\*|[a-z][a-z0-9_-]*))\Z")

BASE: Final[Mapping[str, str]] = {
    "agents:read": "see agents",
    "agents:write": "make, change and run agents",
    "workflows:read": "see workflows",
    "workflows:write": "make, change and run workflows",
}
"""What clients speak of though no feature of this server stands behind it; features add theirs."""

_EVERYBODY: Final = frozenset({"agents:read", "workflows:read", "runs:read", "users:self"})

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "admin": frozenset({"*"}),
    "developer": _EVERYBODY | {"agents:*", "workflows:*", "runs:*", "keys:own"},
    "agent_operator": _EVERYBODY | {"agents:*", "runs:*", "keys:own"},
    "user": _EVERYBODY | {"runs:write", "keys:own"},
    "viewer": _EVERYBODY,
}
"""Constants: a role that could be edited would be a second way to grant, with no one watching it."""


def is_permission(text: str) -> bool:
    """`resource:action`, where `*` may stand only as the whole last part."""
    return _SHAPE.match(text) is not None


def covers(held: Collection[str], permission: str) -> bool:
    """Whether these rights include that one, which may itself be a wildcard."""
    return permission in held or "*" in held or f"{permission.partition(':')[0]}:*" in held


def common(some: Collection[str], others: Collection[str]) -> frozenset[str]:
    """The rights that both include: the narrower of any two that overlap."""
    return frozenset([right for right in some if covers(others, right)] + [r for r in others if covers(some, r)])


def beyond(wanted: Iterable[str], held: Collection[str]) -> list[str]:
    """Which of the wanted rights whoever holds these does not hold."""
    return sorted({right for right in wanted if not covers(held, right)})


def unknown(permissions: Iterable[str], registry: Collection[str]) -> list[str]:
    """Which of these name nothing that exists; a wildcard names what it covers."""
    resources = {known.partition(":")[0] for known in registry}
    return sorted(
        {
            right
            for right in permissions
            if right != "*"
            and right not in registry
            and not (is_permission(right) and right.endswith(":*") and right.partition(":")[0] in resources)
        }
    )
