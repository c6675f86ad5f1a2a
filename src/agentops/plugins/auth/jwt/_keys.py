"""Keys: which algorithms each may be used with, and whether it made a signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import get_default_algorithms

Material: TypeAlias = bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
"""A shared secret is bytes."""

RSA_BITS: Final = range(2048, 16_384 + 1)
"""Shorter ones can be broken; the library does not compute with longer ones."""

CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}

_COMPUTED: Final = get_default_algorithms()


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A key, and what is said of it where it was published: its name, and the one algorithm it is for."""

    material: Material
    kid: str | None = None
    only_for: str | None = None

    def fits(self, algorithm: str) -> bool:
        return self.only_for in {None, algorithm} and misfit(self.material, algorithm) is None

    def made(self, signature: bytes, signed: bytes, algorithm: str) -> bool:
        """Whether this key, which must fit the algorithm, signed this."""
        return _COMPUTED[algorithm].verify(signed, self.material, signature)


@dataclass(frozen=True, slots=True, repr=False)
class FixedKey:
    """The one key of an issuer that publishes none; it is for the configuration to change it."""

    key: Key
    generation: int = 0

    def usable(self) -> bool:
        return True

    def fitting(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        """Whatever the token calls its key: there is only this one."""
        return [self.key] if self.key.fits(algorithm) else []

    async def look_again(self) -> bool:
        return False


def is_shared(algorithm: str) -> bool:
    """Whether whoever can check a signature can also make one."""
    return algorithm.startswith("HS")


def least_secret_bytes(algorithm: str) -> int:
    """As long as the hash: RFC 7518, section 3.2."""
    return int(algorithm.removeprefix("HS")) // 8


def misfit(material: object, algorithm: str) -> str | None:
    """Say in words why a key must not be used with an algorithm, if so; without anything of the key."""
    if is_shared(algorithm):
        least = least_secret_bytes(algorithm)
        wanted, fits = f"a secret of at least {least} bytes", isinstance(material, bytes) and len(material) >= least
    elif algorithm.startswith(("RS", "PS")):
        wanted = f"an RSA key of {RSA_BITS[0]} to {RSA_BITS[-1]} bits"
        fits = isinstance(material, RSAPublicKey) and material.key_size in RSA_BITS
    elif algorithm == "EdDSA":
        wanted, fits = "an Ed25519 or Ed448 key", isinstance(material, Ed25519PublicKey | Ed448PublicKey)
    else:
        curve = CURVES[algorithm]
        wanted = f"a key on the curve {curve}"
        fits = isinstance(material, EllipticCurvePublicKey) and material.curve.name == curve
    return None if fits else f"{algorithm} wants {wanted}, and this is {_in_words(material)}"


def from_pem(text: str) -> Material | None:
    """Read a public key; `None` for what is none that could be used here, such as a private one."""
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey) else None


def _in_words(material: object) -> str:
    match material:
        case bytes():
            return f"a secret of {len(material)} bytes"
        case RSAPublicKey():
            return f"an RSA key of {material.key_size} bits"
        case EllipticCurvePublicKey():
            return f"a key on the curve {material.curve.name}"
        case _:
            return "an Ed25519 or Ed448 key"
