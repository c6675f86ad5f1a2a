"""Keys of the wrong kind, use, length or purpose check no signature, however they are published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.auth.jwt._issuer import NoKey
from agentops.plugins.auth.jwt._key_set import published
from tests.security.jwt_making import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    SECRET,
    StillClock,
    assert_refused,
    base64url,
    claims,
    let_in,
    on,
    private_key,
    signed,
    verdict,
)
from tests.security.jwt_publisher import jwk, publishing

if TYPE_CHECKING:
    from collections.abc import Sequence

RSA = private_key("rsa-2048")
WEAK = private_key("rsa-1024")
P256 = private_key("secp256r1")
ED = private_key("ed25519")

FIT = {
    "rs256": (jwk(RSA, "RS256"), RSA, "RS256"),
    "ps512": (jwk(RSA, "PS512"), RSA, "PS512"),
    "es256": (jwk(P256, "ES256"), P256, "ES256"),
    "es384": (jwk(private_key("secp384r1"), "ES384"), private_key("secp384r1"), "ES384"),
    "eddsa": (jwk(ED, "EdDSA"), ED, "EdDSA"),
    "ed448": (jwk(private_key("ed448"), "EdDSA"), private_key("ed448"), "EdDSA"),
    "without-use": (jwk(ED, "EdDSA", use=ABSENT), ED, "EdDSA"),
    "without-operations": (jwk(ED, "EdDSA", key_ops=ABSENT), ED, "EdDSA"),
    "with-the-operation": (jwk(ED, "EdDSA", key_ops=["verify"]), ED, "EdDSA"),
    "without-algorithm": (jwk(RSA, "RS256", alg=ABSENT), RSA, "RS256"),
}
UNFIT = {
    "use-enc": (jwk(ED, "EdDSA", use="enc"), ED, "EdDSA"),
    "use-list": (jwk(ED, "EdDSA", use=["sig"]), ED, "EdDSA"),
    "use-null": (jwk(ED, "EdDSA", use=None), ED, "EdDSA"),
    "operations-sign": (jwk(ED, "EdDSA", key_ops=["sign"]), ED, "EdDSA"),
    "operations-none": (jwk(ED, "EdDSA", key_ops=[]), ED, "EdDSA"),
    "operations-text": (jwk(ED, "EdDSA", key_ops="verify"), ED, "EdDSA"),
    "for-another-algorithm": (jwk(RSA, "RS256"), RSA, "RS512"),
    "for-another-padding": (jwk(RSA, "RS256"), RSA, "PS256"),
    "for-encryption-by-its-algorithm": (jwk(RSA, "RS256", alg="RSA-OAEP"), RSA, "RS256"),
    "algorithm-number": (jwk(ED, "EdDSA", alg=1), ED, "EdDSA"),
    "name-number": (jwk(ED, "EdDSA", kid=1), ED, "EdDSA"),
    "type-list": (jwk(ED, "EdDSA", kty=["OKP"]), ED, "EdDSA"),
    "type-of-another": (jwk(ED, "EdDSA", kty="EC"), ED, "EdDSA"),
    "rsa-of-1024-bits": (jwk(WEAK, "RS256"), WEAK, "RS256"),
    "other-curve-than-its-algorithm": (jwk(P256, "ES256", alg=ABSENT), P256, "ES384"),
    "curve-of-bitcoin": (jwk(P256, "ES256", crv="secp256k1"), P256, "ES256"),
    "point-off-the-curve": (jwk(P256, "ES256", x=base64url(b"\1" * 32)), P256, "ES256"),
    "half-a-point": (jwk(P256, "ES256", x=base64url(b"\1" * 16)), P256, "ES256"),
    "no-modulus": (jwk(RSA, "RS256", n=ABSENT), RSA, "RS256"),
    "modulus-number": (jwk(RSA, "RS256", n=7), RSA, "RS256"),
    "private": ({**jwk(ED, "EdDSA"), "d": base64url(ED.private_bytes_raw())}, ED, "EdDSA"),
    "private-rsa": (jwk(RSA, "RS256", d="AQAB"), RSA, "RS256"),
}


def by_published_keys(url: str, algorithms: Sequence[str]) -> Jwt:
    return on(StillClock(), Jwt(issuer=ISSUER, audience=AUDIENCE, jwks_url=url, algorithms=list(algorithms)))


async def fetched(authenticator: Jwt) -> Jwt:
    """As `life` does at first, but nothing goes on in the background."""
    for keys in authenticator._issuers.published:
        await keys.look_again()
    return authenticator


@pytest.mark.parametrize(("key", "private", "algorithm"), FIT.values(), ids=FIT)
async def test_a_key_that_fits_checks_signatures(key: dict[str, Any], private: Any, algorithm: str) -> None:
    async with publishing(key) as publisher:
        authenticator = await fetched(by_published_keys(publisher.url, [algorithm]))
        await let_in(authenticator, signed(claims(), algorithm, private, kid="1"))


@pytest.mark.parametrize(("key", "private", "algorithm"), UNFIT.values(), ids=UNFIT)
async def test_a_key_that_does_not_fit_checks_none(key: dict[str, Any], private: Any, algorithm: str) -> None:
    listed = ["RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
    other = private_key("ed448")
    async with publishing(key, jwk(other, "EdDSA", kid="2")) as publisher:
        authenticator = await fetched(by_published_keys(publisher.url, listed))
        token = signed(claims(), algorithm, private, kid="1")
        assert isinstance(authenticator._verdict(token), NoKey)
        assert_refused(await verdict(authenticator, token))
        await let_in(authenticator, signed(claims(), "EdDSA", other, kid="2"))


async def test_a_published_secret_is_none() -> None:
    """Somebody who reads the set signs with what stands in it."""
    published_secret = {"kty": "oct", "k": base64url(SECRET.encode()), "kid": "1", "use": "sig"}
    async with publishing(published_secret, jwk(ED, "EdDSA", kid="2")) as publisher:
        authenticator = await fetched(by_published_keys(publisher.url, ["EdDSA"]))
        assert_refused(await verdict(authenticator, signed(claims(), "HS256", SECRET, kid="1")))


async def test_a_token_that_names_no_key_needs_the_only_one() -> None:
    token = signed(claims(), "EdDSA", ED)
    async with publishing(jwk(ED, "EdDSA"), jwk(RSA, "RS256", kid="2")) as publisher:
        authenticator = await fetched(by_published_keys(publisher.url, ["EdDSA", "RS256"]))
        await let_in(authenticator, token)
    async with publishing(jwk(ED, "EdDSA"), jwk(private_key("ed25519", 1), "EdDSA", kid="2")) as publisher:
        authenticator = await fetched(by_published_keys(publisher.url, ["EdDSA"]))
        assert_refused(await verdict(authenticator, token))
        await let_in(authenticator, signed(claims(), "EdDSA", ED, kid="1"))


async def test_two_keys_of_one_name_are_no_choice() -> None:
    async with publishing(jwk(ED, "EdDSA"), jwk(private_key("ed25519", 1), "EdDSA")) as publisher:
        authenticator = await fetched(by_published_keys(publisher.url, ["EdDSA"]))
        assert_refused(await verdict(authenticator, signed(claims(), "EdDSA", ED, kid="1")))


async def test_a_key_is_found_by_its_whole_name() -> None:
    async with publishing(jwk(ED, "EdDSA", kid="key-1")) as publisher:
        authenticator = await fetched(by_published_keys(publisher.url, ["EdDSA"]))
        for kid in ("key-", "key-1 ", "KEY-1", ""):
            assert_refused(await verdict(authenticator, signed(claims(), "EdDSA", ED, kid=kid)))


def test_keys_beside_the_unknown_ones_are_read() -> None:
    strange: list[object] = [
        1,
        None,
        "key",
        [],
        {},
        {"kty": "AKP"},
        {"kty": "RSA"},
        jwk(ED, "EdDSA", kid=7),
        jwk(ED, "EdDSA"),
    ]
    assert [key.kid for key in published(json.dumps({"keys": strange}).encode())] == ["1"]
