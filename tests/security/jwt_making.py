"""Makes tokens as an honest issuer would, and as a dishonest one, with keys that are real."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

from agentops.core.errors import Rejected, Unavailable
from agentops.core.identity import Identity
from agentops.core.ports.auth import Caller
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.auth.jwt._clock import Clock

NOW: Final = 1_800_000_000
ISSUER: Final = "https://issuer.test/"
AUDIENCE: Final = "agentops"
SECRET: Final = "a-secret-that-is-shared-with-nobody-but-the-issuer-of-the-tokens"

ABSENT: Final = object()

_ALGORITHMS: Final = get_default_algorithms()


class StillClock(Clock):
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.moved = 0.0

    def now(self) -> float:
        return NOW + self.moved

    def steady(self) -> float:
        return self.moved

    def advance(self, seconds: float) -> None:
        self.moved += seconds


@cache
def private_key(name: str, number: int = 0) -> Any:
    """`rsa-2048`, `secp256r1`, `ed25519`, ...; another number is another key."""
    match name:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "ed448":
            return ed448.Ed448PrivateKey.generate()
        case _ if name.startswith("rsa-"):
            return rsa.generate_private_key(65537, int(name.removeprefix("rsa-")))
        case _:
            return ec.generate_private_key({"secp256r1": ec.SECP256R1, "secp384r1": ec.SECP384R1}[name]())


def pem(private: Any) -> str:
    made: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made.decode()


def claims(**changes: object) -> dict[str, object]:
    """What an honest issuer says, but for these changes; `ABSENT` leaves a claim out."""
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": NOW, "exp": NOW + 600}
    return without_absent({**usual, **changes})


def signed(said: object, algorithm: str = "HS256", key: Any = SECRET, **header: object) -> str:
    """Sign these claims; `header` is what it says beside the algorithm, or in its place."""
    full = without_absent({"alg": algorithm, "typ": "JWT", **header})
    return sealed(json.dumps(full).encode(), json.dumps(said).encode(), algorithm, key)


def sealed(header: bytes, payload: bytes, algorithm: str = "HS256", key: Any = SECRET) -> str:
    """Sign whatever these bytes are."""
    material = key.encode() if isinstance(key, str) else key
    text = f"{base64url(header)}.{base64url(payload)}"
    return f"{text}.{base64url(_ALGORITHMS[algorithm].sign(text.encode(), material))}"


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def shared(clock: Clock | None = None, /, **values: object) -> Jwt:
    """An authenticator that has not to fetch anything, on this clock or one that stands still."""
    return on(clock or StillClock(), Jwt(**{"issuer": ISSUER, "audience": AUDIENCE, "secret": SECRET, **values}))


def on(clock: Clock, authenticator: Jwt) -> Jwt:
    assert [str(problem) for problem in authenticator.check()] == []
    authenticator.clock = clock
    return authenticator


def bearing(token: str) -> Caller:
    return Caller([(b"authorization", b"Bearer " + token.encode("latin-1"))])


async def verdict(authenticator: Jwt, token: str) -> Identity | Rejected | Unavailable | None:
    try:
        return await authenticator.authenticate(bearing(token))
    except (Rejected, Unavailable) as refusal:
        return refusal


def assert_refused(outcome: object) -> None:
    """It is a refusal like any other: nothing of it, or of what led to it, tells them apart."""
    assert isinstance(outcome, Rejected)
    plain = Rejected()
    assert vars(outcome) == vars(plain)
    assert (outcome.args, outcome.status, outcome.code, outcome.title) == (plain.args, 401, plain.code, plain.title)
    assert (outcome.__cause__, outcome.__context__) == (None, None), "what led to it may hold the token"


async def let_in(authenticator: Jwt, token: str) -> Identity:
    identity = await authenticator.authenticate(bearing(token))
    assert identity is not None
    return identity


def without_absent(table: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in table.items() if value is not ABSENT}
