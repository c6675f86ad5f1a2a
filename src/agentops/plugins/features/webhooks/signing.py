"""How a receiver knows that a delivery is ours: the Standard Webhooks scheme, version 1."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret of the scheme begins with
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(keys: Iterable[str], message: str, seconds: int, body: bytes) -> dict[str, str]:
    """One signature for each secret: while two are good, a receiver may know either."""
    content = f"{message}.{seconds}.".encode() + body
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(_signature(key, content) for key in keys),
    }


def _signature(key: str, content: bytes) -> str:
    secret = base64.b64decode(key.removeprefix(SECRET_PREFIX))
    return "v1," + base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()
