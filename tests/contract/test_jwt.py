"""Tokens keep the contract of authenticators, however their issuer's key is known."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import pytest_asyncio

from agentops.plugins.auth.jwt import IssuerSettings, Jwt, JwtSettings
from agentops.testing.auth import AuthContract
from tests.security.jwt_making import SECRET, bearing, pem, private_key
from tests.security.jwt_publisher import Publisher, jwk, publishing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentops.core.ports.auth import Caller


def token(key: Any, algorithm: str, **says: object) -> str:
    claims = {"sub": "ada", "exp": int(time.time()) + 600, "permissions": ["contract:read"], **says}
    return jwt.encode(claims, key, algorithm, headers={"kid": "1"})


class TestJwtBySharedSecret(AuthContract):
    @pytest.fixture
    def authenticator(self) -> Jwt:
        return Jwt(secret=SECRET)

    @pytest.fixture
    def good(self) -> Caller:
        return bearing(token(SECRET, "HS256"))

    @pytest.fixture
    def wrong(self) -> Caller:
        return bearing(token(SECRET[::-1], "HS256"))


class TestJwtByPublicKey(AuthContract):
    """Of several issuers, one."""

    @pytest.fixture
    def authenticator(self) -> Jwt:
        by_key: dict[str, Any] = {"public_key": pem(private_key("secp256r1")), "algorithms": ["ES256"]}
        return Jwt(issuers=[{"issuer": "a", "secret": SECRET}, {"issuer": "b", **by_key}])

    @pytest.fixture
    def good(self) -> Caller:
        return bearing(token(private_key("secp256r1"), "ES256", iss="b"))

    @pytest.fixture
    def wrong(self) -> Caller:
        return bearing(token(private_key("secp256r1", 1), "ES256", iss="b"))


class TestJwtByPublishedKeys(AuthContract):
    @pytest_asyncio.fixture
    async def publisher(self) -> AsyncIterator[Publisher]:
        async with publishing(jwk(private_key("ed25519"), "EdDSA")) as publisher:
            yield publisher

    @pytest.fixture
    def authenticator(self, publisher: Publisher) -> Jwt:
        issuer = IssuerSettings(issuer="c", jwks_url=publisher.url, algorithms=["EdDSA"])
        return Jwt(JwtSettings(issuers=[issuer], jwks_wait_seconds=60))

    @pytest.fixture
    def good(self) -> Caller:
        return bearing(token(private_key("ed25519"), "EdDSA", iss="c"))

    @pytest.fixture
    def wrong(self) -> Caller:
        return bearing(token(private_key("ed25519", 1), "EdDSA", iss="c"))
