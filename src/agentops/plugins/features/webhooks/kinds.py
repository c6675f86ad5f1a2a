"""What can be subscribed to."""

from __future__ import annotations

from typing import Final, Literal

Kind = Literal[
    "run.failed",
    "run.stalled",
    "key.created",
    "key.rotated",
    "key.revoked",
    "key.expiring",
    "auth.refused_burst",
    "budget.reached",
    "health.changed",
]

HEADLINES: Final[dict[str, str]] = {
    "run.failed": "A run failed",
    "run.stalled": "A run is silent",
    "key.created": "A key was made",
    "key.rotated": "A key was replaced",
    "key.revoked": "A key was revoked",
    "key.expiring": "A key is about to expire",
    "auth.refused_burst": "Many credentials are refused",
    "budget.reached": "A budget is used up",
    "health.changed": "The health of a part changed",
    "test": "This is a test",
}
"""As people read them, in a chat."""
