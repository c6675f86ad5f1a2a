"""A published set of keys (JWKS, RFC 7517): those of it that may check a signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from agentops.plugins.auth.jwt._encoding import JsonObject, strict_json
from agentops.plugins.auth.jwt._keys import Key, Material

MOST_KEYS: Final = 100

_READERS: Final[dict[str, Callable[[JsonObject], object]]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
"""Without `oct`: a secret that is published is none."""


def published(document: bytes) -> tuple[Key, ...]:
    """Read a set, passing over the keys that are not for us; raise `ValueError` if it is no set, or too large a one."""
    found: object = strict_json(document)
    listed = cast("JsonObject", found).get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no set of keys")  # noqa: TRY004 - it was read, and is none
    keys = cast("list[object]", listed)
    if len(keys) > MOST_KEYS:
        raise ValueError("too many keys")
    read = [_key(cast("JsonObject", each)) for each in keys if isinstance(each, dict)]
    return tuple(key for key in read if key is not None)


def _key(jwk: JsonObject) -> Key | None:
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    readable = isinstance(kid, str | None) and isinstance(algorithm, str | None)
    if not readable or not _is_for_checking(jwk) or not isinstance(jwk.get("kty"), str):
        return None
    material = _material(jwk)
    return None if material is None else Key(material, kid, algorithm)


def _is_for_checking(jwk: JsonObject) -> bool:
    """A private key that was published belongs to everybody."""
    operations = jwk.get("key_ops", ["verify"])
    checks = isinstance(operations, list) and "verify" in operations
    return checks and jwk.get("use", "sig") == "sig" and "d" not in jwk


def _material(jwk: JsonObject) -> Material | None:
    reader = _READERS.get(jwk["kty"])
    if reader is None:
        return None
    try:
        return cast("Material", reader(jwk))
    except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
        return None
