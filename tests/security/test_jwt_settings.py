"""Settings under which tokens could be forged, or none would be taken, are told before anything starts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agentops.core.config.load import load
from agentops.core.discovery import find
from agentops.core.problem import ConfigurationError
from agentops.plugins.auth.jwt import Jwt
from tests.security.jwt_making import SECRET, pem, private_key

if TYPE_CHECKING:
    from pathlib import Path

ED = pem(private_key("ed25519"))
RSA = pem(private_key("rsa-2048"))
PRIVATE = private_key("rsa-2048").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
JWKS: dict[str, Any] = {"jwks_url": "https://issuer.test/jwks.json", "algorithms": ["RS256"]}

RIGHT: dict[str, dict[str, Any]] = {
    "secret": {"secret": SECRET},
    "secret-of-32-bytes": {"secret": "a" * 32},
    "secret-of-64-bytes": {"secret": "a" * 64, "algorithms": ["HS256", "HS384", "HS512"]},
    "secret-of-letters-that-are-two-bytes": {"secret": "ä" * 16},
    "rsa": {"public_key": RSA, "algorithms": ["RS256", "PS512"]},
    "eddsa": {"public_key": ED, "algorithms": ["EdDSA"]},
    "jwks": JWKS,
    "jwks-on-this-machine": {**JWKS, "jwks_url": "http://localhost:8080/jwks"},
    "jwks-on-this-machine-by-address": {**JWKS, "jwks_url": "http://[::1]:8080/jwks"},
    "jwks-with-a-query": {**JWKS, "jwks_url": "https://issuer.test/jwks?p=sign-in"},
    "both-kinds-of-two-issuers": {"issuers": [{"issuer": "a", "secret": SECRET}, {"issuer": "b", **JWKS}]},
    "one-issuer-twice": {"issuers": [{"issuer": "a", "secret": SECRET}, {"issuer": "a", "secret": SECRET[::-1]}]},
}
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no-key": ({}, "", "there is no key"),
    "two-keys": ({"secret": SECRET, "public_key": RSA}, "public_key", "secret and public_key are given"),
    "three-keys": ({"secret": SECRET, "public_key": RSA, **JWKS}, "public_key", "secret and public_key and jwks_url"),
    "no-algorithm": ({"secret": SECRET, "algorithms": []}, "algorithms", "the list is empty"),
    "mixed": ({"secret": SECRET, "algorithms": ["HS256", "RS256"]}, "algorithms", "HS256 and RS256 stand together"),
    "mixed-by-public-key": ({"public_key": RSA, "algorithms": ["RS256", "HS256"]}, "algorithms", "HS256 and RS256"),
    "mixed-by-jwks": ({**JWKS, "algorithms": ["ES256", "HS512"]}, "algorithms", "HS512 and ES256"),
    "hmac-by-public-key": ({"public_key": RSA}, "algorithms", "HS256 needs a shared secret"),
    "hmac-by-jwks": ({**JWKS, "algorithms": ["HS256"]}, "algorithms", "HS256 needs a shared secret"),
    "secret-for-rsa": ({"secret": SECRET, "algorithms": ["RS256"]}, "secret", "RS256 wants an RSA key"),
    "secret-of-31-bytes": ({"secret": "a" * 31}, "secret", "at least 32 bytes, and this is a secret of 31"),
    "secret-short-for-one": ({"secret": "a" * 63, "algorithms": ["HS256", "HS512"]}, "secret", "HS512 wants"),
    "secret-that-is-a-public-key": ({"secret": RSA}, "secret", "a key of a pair"),
    "secret-that-is-a-private-key": ({"secret": PRIVATE}, "secret", "a key of a pair"),
    "secret-that-is-an-ssh-key": ({"secret": "ssh-rsa " + "A" * 300}, "secret", "a key of a pair"),
    "private-key": ({"public_key": PRIVATE, "algorithms": ["RS256"]}, "public_key", "a private key"),
    "no-pem": ({"public_key": "AAAA", "algorithms": ["RS256"]}, "public_key", "no RSA, EC, Ed25519 or Ed448"),
    "key-of-another-kind": (
        {"public_key": pem(dsa.generate_private_key(1024)), "algorithms": ["RS256"]},
        "public_key",
        "no RSA, EC, Ed25519 or Ed448",
    ),
    "weak-key": (
        {"public_key": pem(private_key("rsa-1024")), "algorithms": ["RS256"]},
        "public_key",
        "2048 to 16384 bits, and this is an RSA key of 1024 bits",
    ),
    "other-curve": (
        {"public_key": pem(private_key("secp256r1")), "algorithms": ["ES256", "ES384"]},
        "public_key",
        "ES384 wants a key on the curve secp384r1, and this is a key on the curve secp256r1",
    ),
    "edwards-for-rsa": ({"public_key": ED, "algorithms": ["RS256"]}, "public_key", "this is an Ed25519 or Ed448 key"),
    "rsa-for-edwards": ({"public_key": RSA, "algorithms": ["EdDSA"]}, "public_key", "this is an RSA key"),
    "plain-http": ({**JWKS, "jwks_url": "http://issuer.test/jwks"}, "jwks_url", "which is another machine"),
    "nearly-this-machine": ({**JWKS, "jwks_url": "http://127.0.0.1.evil.test/"}, "jwks_url", "another machine"),
    "any-address": ({**JWKS, "jwks_url": "http://0.0.0.0/jwks"}, "jwks_url", "another machine"),
    "file": ({**JWKS, "jwks_url": "file:///etc/jwks.json"}, "jwks_url", "no address of the web"),
    "ftp": ({**JWKS, "jwks_url": "ftp://issuer.test/jwks"}, "jwks_url", "no address of the web"),
    "no-host": ({**JWKS, "jwks_url": "https:///jwks"}, "jwks_url", "no address of the web"),
    "no-scheme": ({**JWKS, "jwks_url": "issuer.test/jwks"}, "jwks_url", "no address of the web"),
    "bad-port": ({**JWKS, "jwks_url": "https://issuer.test:x/"}, "jwks_url", "no address of the web"),
    "line-break": ({**JWKS, "jwks_url": "https://issuer.test/\r\nX:y"}, "jwks_url", "no address of the web"),
    "blank": ({**JWKS, "jwks_url": "https://issuer.test/a b"}, "jwks_url", "no address of the web"),
    "password-without-a-name": ({**JWKS, "jwks_url": "https://:open-sesame@a.test/"}, "jwks_url", "a password"),
    "password": ({**JWKS, "jwks_url": "https://me:open-sesame@issuer.test/"}, "jwks_url", "there is a password"),
    "no-permission": ({"secret": SECRET, "default_permissions": ["read"]}, "default_permissions", "'read'"),
    "no-permission-of-a-role": ({"secret": SECRET, "roles": {"a": ["runs:read", "x"]}}, "roles.a", "'x'"),
    "stale-before-refresh": ({**JWKS, "jwks_stale_seconds": 60}, "jwks_stale_seconds", "60 is less than"),
    "beside": ({"issuers": [{"secret": SECRET}], "audience": "us"}, "audience", "this stands beside `issuers`"),
    "second-of-several": ({"issuers": [{"secret": SECRET}, {"issuer": "b"}]}, "issuers[1]", "there is no key"),
    "one-issuer-with-both-kinds": (
        {"issuers": [{"issuer": "a", "secret": SECRET}, {"issuer": "a", **JWKS}]},
        "issuers[1].algorithms",
        "the issuer 'a' stands twice",
    ),
    "any-issuer-with-both-kinds": (
        {"issuers": [{"secret": SECRET}, JWKS]},
        "issuers[1].algorithms",
        "an issuer of any name stands twice",
    ),
}
REFUSED: dict[str, dict[str, Any]] = {
    "none": {"secret": SECRET, "algorithms": ["none"]},
    "curve-of-bitcoin": {"public_key": RSA, "algorithms": ["ES256K"]},
    "algorithms-text": {"secret": SECRET, "algorithms": "HS256"},
    "empty-secret": {"secret": ""},
    "empty-issuer": {"secret": SECRET, "issuer": ""},
    "empty-audience": {"secret": SECRET, "audience": ""},
    "empty-audience-among-others": {"secret": SECRET, "audience": ["us", ""]},
    "leeway-of-an-hour": {"secret": SECRET, "leeway_seconds": 3600},
    "negative-leeway": {"secret": SECRET, "leeway_seconds": -1},
    "no-subject": {"secret": SECRET, "claims": {"subject": []}},
    "unknown-claim": {"secret": SECRET, "claims": {"tenant": "x"}},
    "a-megabyte": {"secret": SECRET, "max_bytes": 1024 * 1024},
    "no-refresh": {**JWKS, "jwks_refresh_seconds": 0},
    "misspelt": {"secret": SECRET, "issuer_name": "a"},
    "misspelt-inside": {"issuers": [{"secret": SECRET, "jwks": "x"}]},
}


@pytest.mark.parametrize("values", RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_not_complained_about(values: dict[str, Any]) -> None:
    assert [str(problem) for problem in Jwt(**values).check()] == []


@pytest.mark.parametrize(("values", "key", "what"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_once_and_where(values: dict[str, Any], key: str, what: str) -> None:
    problems = list(Jwt(**values).check())
    assert [problem.key for problem in problems] == [key]
    assert what in problems[0].what
    assert problems[0].why
    assert problems[0].remedy
    told = str(problems[0])
    hidden = [SECRET, "open-sesame", RSA.splitlines()[2], PRIVATE.splitlines()[2], "a" * 31]
    assert [secret for secret in hidden if secret in told] == []


@pytest.mark.parametrize(
    ("algorithm", "remedy"), [("HS512", "secrets.token_hex(64)"), ("RS256", "give public_key or jwks_url")]
)
def test_what_to_do_about_a_secret_depends_on_what_it_is_for(algorithm: str, remedy: str) -> None:
    (problem,) = Jwt(secret="a" * 63, algorithms=[algorithm]).check()
    assert remedy in problem.remedy


@pytest.mark.parametrize("values", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_not_a_setting(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Jwt(**values)


def test_a_file_says_it_all_and_every_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(RSA)
    config = tmp_path / "mine.toml"
    config.write_text(
        f"""
        [storage]
        use = "sqlite"

        [auth.people]
        use = "jwt"
        max_bytes = 4096
        [[auth.people.issuers]]
        issuer = "https://a.test"
        audience = ["us"]
        algorithms = ["RS256"]
        public_key = {{ file = "{tmp_path / "key.pem"}" }}
        claims = {{ permissions = "scope" }}
        [[auth.people.issuers]]
        issuer = "https://b.test"
        secret = {{ env = "B_SECRET" }}

        [lanes.api]
        path = "/api"
        auth = ["people"]
        serve = ["runs"]
        """
    )
    made = load(config, environ={"B_SECRET": SECRET}).auth["people"]
    assert isinstance(made, Jwt)
    assert [issuer.claims.permissions for issuer in made.settings.issuers] == ["scope", "permissions"]
    with pytest.raises(ConfigurationError) as caught:
        load(config, environ={"B_SECRET": "too-short-a-secret"})
    assert str(caught.value).startswith("mine.toml: auth.people.issuers[1].secret: HS256 wants a secret of at least")
    assert "too-short-a-secret" not in str(caught.value)


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "jwt" or "plugins.auth.jwt" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigurationError) as caught:
        find("auth", "jwt", "auth.people.use")
    assert str(caught.value).endswith("pip install 'agentops-kit[auth]'")
