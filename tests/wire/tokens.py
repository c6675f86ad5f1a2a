"""Tokens as other systems' sign-ins issue them, for the deployments that take them."""

from __future__ import annotations

import time
from typing import Any, Final

import jwt

SECRET: Final = "a shared secret of more than 32 bytes"


def token(subject: str, *permissions: str, **claims: Any) -> dict[str, str]:
    """The header of a person whose token names these rights, if any."""
    payload: dict[str, Any] = {"sub": subject, "exp": time.time() + 3600, **claims}
    if permissions:
        payload["permissions"] = list(permissions)
    return bearer(jwt.encode(payload, SECRET, algorithm="HS256"))


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}
