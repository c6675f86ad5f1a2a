"""Tokens as somebody would forge them: each is an honest one but for one thing, and is refused like any other."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.errors import Rejected
from agentops.core.ports.auth import Caller
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.auth.jwt._unfit import Unfit
from tests.security.jwt_making import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    StillClock,
    assert_refused,
    base64url,
    bearing,
    claims,
    let_in,
    on,
    pem,
    private_key,
    sealed,
    shared,
    signed,
    verdict,
)
from tests.security.jwt_publisher import jwk

if TYPE_CHECKING:
    from collections.abc import Callable

HONEST = signed(claims())
HEAD, BODY, SIGNATURE = HONEST.split(".")
PAYLOAD = json.dumps(claims()).encode()
HEADER = b'{"alg":"HS256","typ":"JWT"}'
NONE, NONE_IN_ODD_CASE = base64url(b'{"alg":"none"}'), base64url(b'{"alg":"nOnE"}')
PADDABLE = base64url(b'{"alg":"HS256", "typ":"JWT"}')


def by_hand(head: str, body: str) -> str:
    """Sign two parts as they stand, so that only the way in which they are written is wrong."""
    digest = hmac.digest(SECRET.encode(), f"{head}.{body}".encode("latin-1"), hashlib.sha256)
    return f"{head}.{body}.{base64url(digest)}"


def with_other_last_bits(part: str) -> str:
    """Another last letter that lenient readers decode to the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4, "a part without spare bits shows nothing"
    return part[:-1] + alphabet[alphabet.index(part[-1]) ^ 1]


def with_spare_bits(payload: dict[str, object]) -> str:
    """Encode so that the last letter has bits that mean nothing."""
    raw = json.dumps(payload).encode()
    while len(raw) % 3 == 0:
        raw += b" "
    return base64url(raw)


def nested(depth: int) -> bytes:
    return PAYLOAD[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"


ALGORITHM = {
    "none": f"{NONE}.{BODY}.",
    "none-with-a-signature": f"{NONE}.{BODY}.{SIGNATURE}",
    "none-in-odd-case": f"{NONE_IN_ODD_CASE}.{BODY}.",
    "none-signed-for": sealed(b'{"alg":"none"}', PAYLOAD),
    "alg-absent": sealed(b'{"typ":"JWT"}', PAYLOAD),
    "alg-null": sealed(b'{"alg":null}', PAYLOAD),
    "alg-number": sealed(b'{"alg":256}', PAYLOAD),
    "alg-list": sealed(b'{"alg":["HS256"]}', PAYLOAD),
    "alg-lower-case": sealed(b'{"alg":"hs256"}', PAYLOAD),
    "alg-another-hash": signed(claims(), "HS512"),
    "alg-another-kind": signed(claims(), "EdDSA", private_key("ed25519")),
    "alg-said-to-be-another": sealed(b'{"alg":"HS512"}', PAYLOAD, "HS256"),
    "alg-unknown": sealed(b'{"alg":"HS257"}', PAYLOAD),
}
EXTENSIONS = {
    "crit-unknown": signed(claims(), crit=["unheard_of"], unheard_of=1),
    "crit-empty": signed(claims(), crit=[]),
    "crit-null": signed(claims(), crit=None),
    "crit-of-b64": signed(claims(), crit=["b64"], b64=False),
    "b64-false": signed(claims(), b64=False),
    "b64-true": signed(claims(), b64=True),
}
TYPES = {
    "typ-other": signed(claims(), typ="dpop+jwt"),
    "typ-of-an-id-token": signed(claims(), typ="id_token"),
    "typ-null": signed(claims(), typ=None),
    "typ-number": signed(claims(), typ=1),
    "typ-empty": signed(claims(), typ=""),
    "typ-longer": signed(claims(), typ="JWT2"),
}
KEY_NAMES = {"kid-number": signed(claims(), kid=1), "kid-null": signed(claims(), kid=None)}
NO_MOMENTS = {
    "exp-null": signed(claims(exp=None)),
    "exp-text": signed(claims(exp=str(NOW + 600))),
    "exp-true": signed(claims(exp=True)),
    "exp-list": signed(claims(exp=[NOW + 600])),
    "exp-infinite": sealed(HEADER, json.dumps(claims(exp=0)).replace('"exp": 0', '"exp": 1e999').encode()),
    "exp-of-4000-digits": signed(claims(exp=10**4000)),
    "exp-beyond-53-bits": signed(claims(exp=2**53 + 2)),
    "nbf-text": signed(claims(nbf="0")),
    "nbf-infinite": sealed(HEADER, json.dumps(claims(nbf=0)).replace('"nbf": 0', '"nbf": -1e999').encode()),
    "iat-null": signed(claims(iat=None)),
}
EXPIRED = {
    "exp-past": signed(claims(exp=NOW - 1)),
    "exp-now": signed(claims(exp=NOW)),
    "exp-zero": signed(claims(exp=0)),
}
EARLY = {
    "nbf-future": signed(claims(nbf=NOW + 1)),
    "iat-future": signed(claims(iat=NOW + 1)),
}
ISSUERS = {
    "iss-number": signed(claims(iss=7)),
    "iss-list": signed(claims(iss=[ISSUER])),
    "iss-null": signed(claims(iss=None)),
}
AUDIENCES = {
    "aud-absent": signed(claims(aud=ABSENT)),
    "aud-other": signed(claims(aud="agentops2")),
    "aud-prefix": signed(claims(aud="agent")),
    "aud-empty": signed(claims(aud=[])),
    "aud-null": signed(claims(aud=None)),
    "aud-others": signed(claims(aud=["billing", "agentops/"])),
    "aud-with-a-number": signed(claims(aud=[AUDIENCE, 7])),
    "aud-of-lists": signed(claims(aud=[[AUDIENCE]])),
    "aud-table": signed(claims(aud={AUDIENCE: 1})),
}
NO_NAMES = {
    "sub-null": signed(claims(sub=None)),
    "sub-empty": signed(claims(sub="")),
    "sub-list": signed(claims(sub=["ada"])),
    "sub-true": signed(claims(sub=True)),
    "sub-fraction": signed(claims(sub=1.5)),
    "sub-lone-surrogate": signed(claims(sub="ada\ud800")),
    "sub-nul": signed(claims(sub="ada\0")),
    "sub-line-break": signed(claims(sub="ada\nbob")),
    "sub-override": signed(claims(sub="\u202eada")),
    "sub-blank-behind": signed(claims(sub="ada ")),
    "sub-too-long": signed(claims(sub="a" * 201)),
    "user-id-null-before-sub": signed(claims(user_id=None)),
    "role-nul": signed(claims(role="admin\0")),
    "role-list": signed(claims(role=["admin"])),
    "project-lone-surrogate": signed(claims(project="\udfff")),
    "project-number": signed(claims(project=1)),
    "project-empty": signed(claims(project="")),
    "jti-number": signed(claims(jti=7)),
    "jti-nul": signed(claims(jti="\0")),
}
NO_PERMISSIONS = {
    "permissions-number": signed(claims(permissions=7)),
    "permissions-table": signed(claims(permissions={"*": True})),
    "permissions-of-numbers": signed(claims(permissions=[1])),
}
NOT_BASE64URL = {
    "padded-header": by_hand(f"{PADDABLE}=", BODY),
    "padded-payload": by_hand(HEAD, f"{with_spare_bits(claims())}{'=' * (-len(with_spare_bits(claims())) % 4)}"),
    "padded-signature": f"{HONEST}=",
    "spare-bits-of-the-payload": by_hand(HEAD, with_other_last_bits(with_spare_bits(claims()))),
    "spare-bits-of-the-signature": f"{HEAD}.{BODY}.{with_other_last_bits(SIGNATURE)}",
    "blank-in-the-payload": by_hand(HEAD, f"{BODY[:8]} {BODY[8:]}"),
    "line-break-in-the-payload": by_hand(HEAD, f"{BODY[:8]}\n{BODY[8:]}"),
    "line-break-in-the-signature": f"{HEAD}.{BODY}.{SIGNATURE[:8]}\n{SIGNATURE[8:]}",
    "tab-before-it": f"\t{HONEST}",
    "other-alphabet": by_hand(HEAD, base64url(json.dumps(claims(x="???>>>")).encode()).replace("_", "/")),
    "letter-of-no-alphabet": by_hand(HEAD, f"{BODY}!"),
    "not-ascii": by_hand(HEAD, f"{BODY}\xe9"),
}
SIGNATURES = {
    "empty-signature": f"{HEAD}.{BODY}.",
    "half-a-signature": f"{HEAD}.{BODY}.{SIGNATURE[:20]}",
    "signature-of-another": f"{HEAD}.{BODY}.{signed(claims(sub='bob')).rpartition('.')[2]}",
    "signature-by-another-secret": signed(claims(), key=SECRET[::-1]),
    "address-of-another-secret": signed(claims(), key=SECRET[::-1], jku="http://127.0.0.1:1/"),
}
NO_OBJECTS = {
    "empty-parts": "..",
    "empty-header": f".{BODY}.{SIGNATURE}",
    "empty-payload": by_hand(HEAD, ""),
    "exp-infinity": signed(claims(exp=float("inf"))),
    "exp-not-a-number": signed(claims(exp=float("nan"))),
    "exp-of-5000-digits": sealed(HEADER, json.dumps(claims(exp=7)).replace(": 7}", f": {'9' * 5000}}}").encode()),
    "header-repeats-a-name": sealed(b'{"alg":"none","alg":"HS256"}', PAYLOAD),
    "payload-repeats-a-name": sealed(HEADER, PAYLOAD[:-1] + b',"sub":"bob"}'),
    "payload-repeats-a-name-inside": sealed(HEADER, PAYLOAD[:-1] + b',"x":{"a":1,"a":2}}'),
    "payload-repeats-an-escaped-name": sealed(HEADER, PAYLOAD[:-1] + b',"\\u0073ub":"bob"}'),
    "header-is-a-list": sealed(b'["HS256"]', PAYLOAD),
    "header-is-text": sealed(b'"HS256"', PAYLOAD),
    "payload-is-a-list": sealed(HEADER, b"[%b]" % PAYLOAD),
    "payload-is-null": sealed(HEADER, b"null"),
    "payload-is-a-number": sealed(HEADER, b"7"),
    "payload-is-no-json": sealed(HEADER, PAYLOAD[:-1]),
    "payload-goes-on": sealed(HEADER, PAYLOAD + PAYLOAD),
    "payload-is-not-utf-8": sealed(HEADER, PAYLOAD[:-1] + b',"x":"\xff"}'),
    "payload-with-byte-order-mark": sealed(HEADER, b"\xef\xbb\xbf" + PAYLOAD),
    "payload-in-utf-16": sealed(HEADER, PAYLOAD.decode().encode("utf-16")),
    "payload-with-a-raw-nul": sealed(HEADER, PAYLOAD[:-1] + b',"x":"\0"}'),
    "payload-with-infinity": sealed(HEADER, PAYLOAD[:-1] + b',"x":Infinity}'),
}
TOO_LONG = {
    "100-kb": signed(claims(x="a" * 100_000)),
    "just-too-long": signed(claims(x="a" * 6000)),
}
FORGED = {
    "its algorithm is none of this issuer's": ALGORITHM,
    "it asks for an extension": EXTENSIONS,
    "it is of another type": TYPES,
    "its key has no name": KEY_NAMES,
    "it has no `exp`": {"exp-absent": signed(claims(exp=ABSENT))},
    "a moment in it is none": NO_MOMENTS,
    "it has expired": EXPIRED,
    "it does not hold yet": EARLY,
    "its issuer is no text": ISSUERS,
    "it is for another audience": AUDIENCES,
    "it names no subject": {"sub-absent": signed(claims(sub=ABSENT))},
    "a name in it is none": NO_NAMES,
    "its permissions are no texts": NO_PERMISSIONS,
    "a part is not base64url": NOT_BASE64URL,
    "its signature is wrong": SIGNATURES,
    "a part is not a JSON object": NO_OBJECTS,
    "it is too long": TOO_LONG,
}
"""By what must be found wrong with them, lest one be refused for something else that was not meant."""


async def test_the_honest_one_is_let_in() -> None:
    identity = await let_in(shared(), HONEST)
    assert (identity.subject, identity.project, identity.expires_at) == ("ada", "default", NOW + 600)


@pytest.mark.parametrize(
    ("token", "reason"),
    [pytest.param(token, reason, id=name) for reason, tokens in FORGED.items() for name, token in tokens.items()],
)
async def test_a_forged_one_is_refused_like_any_other(token: str, reason: str) -> None:
    authenticator = shared()
    found = authenticator._verdict(token)
    assert isinstance(found, Unfit)
    assert found.reason == reason
    assert_refused(await verdict(authenticator, token))
    await let_in(authenticator, HONEST)
    assert_refused(await verdict(authenticator, token))


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(sealed(b'{"alg":"HS256"}', PAYLOAD), id="without-a-type"),
        pytest.param(signed(claims(), typ="jwt"), id="type-in-lower-case"),
        pytest.param(signed(claims(), typ="AT+JWT"), id="type-of-an-access-token"),
        pytest.param(signed(claims(), kid="any"), id="kid-of-a-key-that-is-fixed"),
        pytest.param(signed(claims(aud=["billing", AUDIENCE])), id="among-several-audiences"),
        pytest.param(signed(claims(exp=NOW + 0.5)), id="for-half-a-second"),
        pytest.param(signed(claims(nbf=NOW)), id="from-now-on"),
        pytest.param(signed(claims(iat=ABSENT)), id="issued-at-no-time"),
        pytest.param(signed(claims(x=[{"a": [1, 2.5e10, None]}], y={"a": 1}, z={"a": 2})), id="more-claims"),
        pytest.param(signed(claims(x="a" * 5000)), id="nearly-too-long"),
        pytest.param(signed(claims(sub="Ada Lövelace 🤖")), id="a-name-of-many-letters"),
    ],
)
async def test_what_is_unusual_but_right_is_let_in(token: str) -> None:
    await let_in(shared(), token)


@pytest.mark.parametrize(
    ("name", "algorithm", "foreign"),
    [
        ("rsa-2048", "RS256", "PS256"),
        ("rsa-2048", "RS384", "RS256"),
        ("rsa-2048", "PS256", "RS256"),
        ("rsa-2048", "PS512", "PS256"),
        ("secp256r1", "ES256", "HS256"),
        ("secp384r1", "ES384", "HS384"),
        ("ed25519", "EdDSA", "HS256"),
        ("ed448", "EdDSA", "HS512"),
    ],
)
async def test_only_the_listed_algorithm_of_a_key_is_believed(name: str, algorithm: str, foreign: str) -> None:
    private = private_key(name)
    authenticator = shared(secret=None, public_key=pem(private), algorithms=[algorithm])
    await let_in(authenticator, signed(claims(), algorithm, private))
    key = pem(private) if foreign.startswith("HS") else private
    confused = signed_with_any(claims(), foreign, key)
    assert_refused(await verdict(authenticator, confused))
    another_key = signed(claims(), algorithm, private_key(name, 1))
    assert_refused(await verdict(authenticator, another_key))


@pytest.mark.parametrize("spelling", [str, str.strip, lambda text: text.replace("\n", "\r\n")])
async def test_a_public_key_is_never_a_shared_secret(spelling: Callable[[str], str]) -> None:
    """RS256 to HS256: whoever knows the public key signs with it as a secret."""
    public = pem(private_key("rsa-2048"))
    authenticator = shared(secret=None, public_key=public, algorithms=["RS256"])
    assert_refused(await verdict(authenticator, signed_with_any(claims(), "HS256", spelling(public))))


@pytest.mark.parametrize(
    "issuer",
    [
        ISSUER[:-1],
        ISSUER + "a",
        ISSUER.upper(),
        f" {ISSUER}",
        "https://issuer.test:443/",
        ISSUER.replace("e", "\u0435"),
        "",
    ],
)
async def test_an_issuer_that_is_nearly_ours_is_not_ours(issuer: str) -> None:
    assert await verdict(shared(), signed(claims(iss=issuer))) is None


async def test_a_token_without_an_issuer_is_not_ours_where_one_is_named() -> None:
    assert await verdict(shared(), signed(claims(iss=ABSENT))) is None


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], []])
async def test_a_token_for_somebody_is_refused_where_nobody_is_named(audience: object) -> None:
    authenticator = shared(audience=[])
    assert_refused(await verdict(authenticator, signed(claims(aud=audience))))
    await let_in(authenticator, signed(claims(aud=ABSENT)))


async def test_each_issuer_has_its_own_key() -> None:
    other = {"issuer": "other", "secret": SECRET[::-1], "audience": AUDIENCE}
    authenticator = on(StillClock(), Jwt(issuers=[{"issuer": ISSUER, "secret": SECRET, "audience": AUDIENCE}, other]))
    await let_in(authenticator, signed(claims()))
    await let_in(authenticator, signed(claims(iss="other"), key=SECRET[::-1]))
    assert_refused(await verdict(authenticator, signed(claims(iss="other"))))
    assert_refused(await verdict(authenticator, signed(claims(), key=SECRET[::-1])))


async def test_a_nameless_issuer_does_not_stand_in_for_a_named_one() -> None:
    named = {"issuer": ISSUER, "public_key": pem(private_key("ed25519")), "algorithms": ["EdDSA"]}
    authenticator = on(StillClock(), Jwt(issuers=[named, {"secret": SECRET}]))
    await let_in(authenticator, signed(claims(iss=ABSENT, aud=ABSENT)))
    await let_in(authenticator, signed(claims(iss="anybody", aud=ABSENT)))
    assert_refused(await verdict(authenticator, signed(claims(aud=ABSENT))))


async def test_a_secret_can_be_replaced_while_the_old_one_still_works() -> None:
    new = {"issuer": ISSUER, "secret": SECRET[::-1], "audience": AUDIENCE}
    authenticator = on(StillClock(), Jwt(issuers=[new, {**new, "secret": SECRET}]))
    await let_in(authenticator, signed(claims()))
    await let_in(authenticator, signed(claims(), key=SECRET[::-1]))
    assert_refused(await verdict(authenticator, signed(claims(), key=SECRET * 2)))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {HONEST}",
        HONEST,
        f"BearerX {HONEST}",
        f"Bearer\t{HONEST}",
        "Bearer uc_0123456789abcdef",
        "Bearer jean_sk_0123",
        "Bearer a.b",
        "Bearer a.b.c.d.e",
        f"Bearer {HONEST}, Bearer {HONEST}",
    ],
)
async def test_what_does_not_look_like_a_token_is_left_to_the_next(value: str) -> None:
    assert await shared().authenticate(Caller([(b"authorization", value.encode())])) is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_the_scheme_may_be_written_in_any_case(scheme: str) -> None:
    assert await shared().authenticate(Caller([(b"authorization", f"{scheme} {HONEST}".encode())])) is not None


async def test_a_key_that_a_token_brings_along_is_not_looked_at() -> None:
    authenticator = shared(secret=None, public_key=pem(private_key("ed25519")), algorithms=["EdDSA"])
    own = private_key("ed25519", 1)
    assert_refused(await verdict(authenticator, signed(claims(), "EdDSA", own, jwk=jwk(own, "EdDSA"), kid="1")))


async def test_nesting_is_refused_before_it_can_do_harm() -> None:
    assert_refused(await verdict(shared(max_bytes=65_536), sealed(HEADER, nested(20_000))))


async def test_a_token_ends_also_while_it_is_remembered() -> None:
    clock = StillClock()
    authenticator = shared(clock)
    await let_in(authenticator, HONEST)
    clock.advance(599.9)
    await let_in(authenticator, HONEST)
    clock.advance(0.1)
    assert_refused(await verdict(authenticator, HONEST))


async def test_a_remembered_token_does_not_hold_before_it_begins() -> None:
    clock = StillClock()
    authenticator = shared(clock)
    await let_in(authenticator, HONEST)
    clock.advance(-1)
    assert_refused(await verdict(authenticator, HONEST))


async def test_leeway_is_given_on_both_sides() -> None:
    authenticator = shared(leeway_seconds=10)
    early_and_late = [claims(exp=NOW - 9), claims(nbf=NOW + 10), claims(iat=NOW + 10)]
    identities = [await let_in(authenticator, signed(said)) for said in early_and_late]
    assert identities[0].expires_at == NOW + 1
    for said in (claims(exp=NOW - 10), claims(nbf=NOW + 11), claims(iat=NOW + 11)):
        assert_refused(await verdict(authenticator, signed(said)))


async def test_what_is_remembered_is_bounded_and_not_shown() -> None:
    authenticator = shared(cache_tokens=10)
    tokens = [signed(claims(sub=f"ada-{number}")) for number in range(50)]
    for token in tokens:
        await let_in(authenticator, token)
    held: list[Any] = [authenticator._seen, authenticator._shown]
    assert [len(memory) for memory in held] == [10, 10]
    assert [token for token in tokens if token in repr(vars(authenticator))] == []
    await let_in(authenticator, tokens[0])


async def test_refused_tokens_are_not_remembered() -> None:
    authenticator = shared()
    for number in range(50):
        assert_refused(await verdict(authenticator, signed(claims(sub=f"ada-{number}"), key="x" * 64)))
    assert len(authenticator._seen) == 0


async def test_a_header_sent_twice_is_refused_even_with_one_good_token() -> None:
    twice = Caller([*bearing(HONEST).headers, (b"authorization", b"Bearer uc_1")])
    with pytest.raises(Rejected):
        await shared().authenticate(twice)


def signed_with_any(said: object, algorithm: str, key: Any) -> str:
    """Sign with a text that no honest library would take for a secret."""
    if not algorithm.startswith("HS"):
        return signed(said, algorithm, key)
    head = base64url(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    body = base64url(json.dumps(said).encode())
    digest = hmac.digest(key.encode(), f"{head}.{body}".encode(), f"sha{algorithm.removeprefix('HS')}")
    return f"{head}.{body}.{base64url(digest)}"
