"""A trusted header keeps the contract of authenticators, and is believed from the proxy's address alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.errors import Rejected
from agentops.core.identity import Identity
from agentops.core.ports.auth import Caller
from agentops.core.ports.credential import DescribesCredential
from agentops.core.secret import Secret
from agentops.plugins.auth.trusted_header import LONGEST_NAME, TrustedHeader, TrustedHeaderSettings
from agentops.testing.auth import AuthContract, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

PROXY = "10.0.0.5"
ELSEWHERE = "192.0.2.9"
ADA = (b"x-user-id", b"ada@example.org")
PROOF = "only-the-proxy-knows"


class TestTrustedHeader(AuthContract):
    @pytest.fixture
    def authenticator(self) -> TrustedHeader:
        return TrustedHeader(proxies=[PROXY], permissions=["*"])

    @pytest.fixture
    def good(self) -> Caller:
        return Caller([ADA], PROXY)

    @pytest.fixture
    def wrong(self) -> Caller:
        return Caller([(b"x-user-id", b"mallory@example.org")], ELSEWHERE)

    @pytest.fixture
    def near_good(self) -> Sequence[Caller]:
        return []

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return []


class TestTrustedHeaderOfAProxyWithASecret(AuthContract):
    @pytest.fixture
    def authenticator(self) -> TrustedHeader:
        return TrustedHeader(
            header="X-Forwarded-User",
            proxies=["10.0.0.0/24", "fd00::/64"],
            permissions=["runs:read"],
            secret_header="X-Proxy-Secret",
            secret=Secret(PROOF),
        )

    @pytest.fixture
    def good(self) -> Caller:
        return Caller([(b"x-forwarded-user", b"ada@example.org"), (b"x-proxy-secret", PROOF.encode())], "fd00::17")

    @pytest.fixture
    def wrong(self) -> Caller:
        return Caller([(b"x-forwarded-user", b"ada@example.org"), (b"x-proxy-secret", b"guessed-by-mallory")], PROXY)

    @pytest.fixture
    def near_good(self) -> Sequence[Caller]:
        proofs = [PROOF[:-1], f"{PROOF}0", PROOF.upper(), "", "x" * 65_536]
        return [Caller([(b"x-forwarded-user", b"ada"), (b"x-proxy-secret", proof.encode())], PROXY) for proof in proofs]

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return [PROOF, "guessed-by-mallory"]


def believing(*proxies: str, **more: Any) -> TrustedHeader:
    return TrustedHeader(proxies=list(proxies), permissions=["runs:read"], **more)


@pytest.mark.parametrize(
    ("proxies", "peer"),
    [
        (["10.0.0.5"], "10.0.0.5"),
        (["10.0.0.0/8"], "10.255.255.255"),
        (["192.0.2.1", "10.0.0.0/30"], "10.0.0.3"),
        (["fd00::/64"], "fd00::abcd"),
        (["fd00:0:0:0:0:0:0:5"], "fd00::5"),
        (["10.0.0.5"], "::ffff:10.0.0.5"),
        (["10.0.0.5"], "::ffff:a00:5"),
        (["::ffff:10.0.0.0/120"], "10.0.0.5"),
        (["::ffff:10.0.0.5"], "::ffff:10.0.0.5"),
        (["fe80::/64"], "fe80::1%eth0"),
    ],
)
async def test_the_proxy_is_believed(proxies: list[str], peer: str) -> None:
    identity = await believing(*proxies).authenticate(Caller([ADA], peer))
    assert identity == Identity("ada@example.org", permissions=frozenset({"runs:read"}))


@pytest.mark.parametrize(
    "peer",
    [
        "10.0.0.6",
        "10.0.1.5",
        "::10.0.0.5",
        "::ffff:10.0.0.6",
        "fd01::5",
        "localhost",
        "10.0.0.5:80",
        " 10.0.0.5",
        None,
        "",
    ],
)
async def test_another_peer_is_not(peer: str | None) -> None:
    authenticator = believing("10.0.0.5", "fd00::/64")
    assert isinstance(await verdict(authenticator, Caller([ADA], peer)), Rejected)
    assert await verdict(authenticator, Caller([(b"x-other", b"ada")], peer)) is None


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "x-client-ip"])
async def test_what_a_header_says_of_the_address_changes_nothing(name: str) -> None:
    claim = (name.encode(), PROXY.encode())
    assert isinstance(await verdict(believing(PROXY), Caller([ADA, claim], ELSEWHERE)), Rejected)
    claim = (name.encode(), ELSEWHERE.encode())
    assert isinstance(await verdict(believing(PROXY), Caller([ADA, claim], PROXY)), Identity)


@pytest.mark.parametrize("peer", [None, ""], ids=["none", "granian-on-a-unix-socket"])
async def test_a_peer_without_an_address_is_believed_only_when_the_settings_say_so(peer: str | None) -> None:
    assert isinstance(await verdict(believing(unix=True), Caller([ADA], peer)), Identity)
    assert isinstance(await verdict(believing(unix=True), Caller([ADA], "127.0.0.1")), Rejected)


NAMES = {
    "one-letter": b"a",
    "with-a-space": b"Ada Lovelace",
    "the-longest": b"a" * LONGEST_NAME,
    "the-longest-in-letters": "é".encode() * LONGEST_NAME,
    "ending-in-a-byte-that-is-a-space-in-latin-1": "voilà".encode(),
    "another-script": "愛達".encode(),
}
NO_NAMES = {
    "empty": b"",
    "blank": b" \t ",
    "too-long": b"a" * (LONGEST_NAME + 1),
    "64-kb": b"a" * 65_536,
    "nul": b"ada\0",
    "nul-in-front": b"\0ada",
    "line-break": b"ada\r\nx: y",
    "line-break-behind": b"ada\n",
    "tab-inside": b"ada\tb",
    "delete": b"ada\x7f",
    "escape": b"\x1b[2Jada",
    "latin-1": b"ada\xe9",
    "no-break-space": b"ada\xa0",
    "no-break-space-in-utf-8": "ada\u00a0".encode(),
    "next-line": b"ada\x85",
    "zero-width": "ad\u200ba".encode(),
    "right-to-left": "\u202eada".encode(),
    "surrogate": b"ada\xed\xa0\x80",
    "overlong": b"ada\xc0\x80",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_name_comes_as_it_was_sent(name: bytes) -> None:
    everywhere = [(b"x-user-id", name), (b"x-role", name), (b"x-project", name)]
    authenticator = believing(PROXY, role_header="X-Role", project_header="X-Project")
    identity = await authenticator.authenticate(Caller(everywhere, PROXY))
    assert identity is not None
    assert (identity.subject, identity.role, identity.project) == (name.decode(),) * 3


@pytest.mark.parametrize("header", ["x-user-id", "x-role", "x-project"])
@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
async def test_what_nobody_could_read_is_rejected(header: str, name: bytes) -> None:
    authenticator = believing(PROXY, role_header="X-Role", project_header="X-Project")
    sent = {b"x-user-id": b"ada", header.encode(): name}
    assert isinstance(await verdict(authenticator, Caller(list(sent.items()), PROXY)), Rejected)


async def test_white_space_around_a_name_is_not_part_of_it() -> None:
    identity = await believing(PROXY).authenticate(Caller([(b"x-user-id", b"\t ada \t")], PROXY))
    assert identity is not None
    assert identity.subject == "ada"


async def test_without_role_and_project_in_the_request_there_are_those_of_the_settings() -> None:
    authenticator = believing(PROXY, project="mine", role_header="x-role", project_header="x-project")
    identity = await authenticator.authenticate(Caller([ADA], PROXY))
    assert identity is not None
    assert (identity.role, identity.project) == (None, "mine")


@pytest.mark.parametrize("name", [b"x-role", b"x-project", b"x-proxy-secret"])
async def test_a_header_beside_the_name_that_is_sent_twice_is_rejected(name: bytes) -> None:
    more = {"role_header": "x-role", "project_header": "x-project"}
    authenticator = believing(PROXY, **more, secret_header="x-proxy-secret", secret=Secret(PROOF))
    headers = [ADA, (b"x-proxy-secret", PROOF.encode())]
    assert isinstance(await verdict(authenticator, Caller(headers, PROXY)), Identity)
    twice = [*headers, (name, PROOF.encode()), (name, PROOF.encode())]
    assert isinstance(await verdict(authenticator, Caller(twice, PROXY)), Rejected)


async def test_a_proxy_that_does_not_prove_itself_is_rejected() -> None:
    authenticator = believing(PROXY, secret_header="x-proxy-secret", secret=Secret(PROOF))
    assert isinstance(await verdict(authenticator, Caller([ADA], PROXY)), Rejected)
    proof = (b"x-proxy-secret", PROOF.encode())
    assert isinstance(await verdict(authenticator, Caller([ADA, proof], ELSEWHERE)), Rejected)
    assert await verdict(authenticator, Caller([proof], PROXY)) is None


@pytest.mark.parametrize(
    "half", [{"secret_header": "x-proxy-secret"}, {"secret": Secret(PROOF)}], ids=["header", "secret"]
)
async def test_half_a_proof_that_was_not_checked_lets_nobody_in(half: dict[str, Any]) -> None:
    proof = (b"x-proxy-secret", PROOF.encode())
    assert isinstance(await verdict(believing(PROXY, **half), Caller([ADA, proof], PROXY)), Rejected)


RIGHT: dict[str, dict[str, Any]] = {
    "one-address": {"proxies": ["10.0.0.5"]},
    "the-widest": {"proxies": ["10.0.0.0/8", "fc00::/7"]},
    "unix-alone": {"unix": True},
    "everything": {
        "proxies": ["::1"],
        "header": "X-Email",
        "role_header": "X-Role",
        "project_header": "X-Project",
        "secret_header": "X-Proof",
        "secret": Secret(PROOF),
    },
}
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no-proxy": ({}, "proxies", "no proxy is named"),
    "everybody": ({"proxies": ["0.0.0.0/0"]}, "proxies[0]", "strangers"),
    "everybody-on-ipv6": ({"proxies": ["10.0.0.5", "::/0"]}, "proxies[1]", "strangers"),
    "half-of-everybody": ({"proxies": ["128.0.0.0/1"]}, "proxies[0]", "strangers"),
    "wider-than-private": ({"proxies": ["10.0.0.0/7"]}, "proxies[0]", "strangers"),
    "everybody-in-other-clothes": ({"proxies": ["::ffff:0:0/96"]}, "proxies[0]", "strangers"),
    "the-internet": ({"proxies": ["2000::/3"]}, "proxies[0]", "strangers"),
    "a-name": ({"proxies": ["proxy.internal"]}, "proxies[0]", "not an address or a network"),
    "no-text": ({"proxies": [""]}, "proxies[0]", "not an address or a network"),
    "a-port": ({"proxies": ["10.0.0.5:80"]}, "proxies[0]", "not an address or a network"),
    "inside-a-network": ({"proxies": ["10.0.0.5/8"]}, "proxies[0]", "'10.0.0.0/8' for the network, or '10.0.0.5'"),
    "a-secret-for-nothing": ({"proxies": ["::1"], "secret": Secret(PROOF)}, "secret_header", "missing"),
    "a-header-for-nothing": ({"proxies": ["::1"], "secret_header": "x-proof"}, "secret", "missing"),
    "an-empty-secret": (
        {"proxies": ["::1"], "secret_header": "x-proof", "secret": Secret("")},
        "secret",
        "whoever sends an empty one",
    ),
    "one-header-for-two": ({"proxies": ["::1"], "role_header": "X-User-ID"}, "header", "'x-user-id'"),
}


@pytest.mark.parametrize("settings", RIGHT.values(), ids=RIGHT)
def test_right_settings_have_no_problem(settings: dict[str, Any]) -> None:
    assert list(made(settings).check()) == []


@pytest.mark.parametrize(("settings", "key", "said"), WRONG.values(), ids=WRONG)
def test_a_mistake_in_the_settings_is_told(settings: dict[str, Any], key: str, said: str) -> None:
    (problem,) = made(settings).check()
    assert problem.key == key
    assert said in str(problem)
    assert "" not in (problem.what, problem.why, problem.remedy)
    assert PROOF not in str(problem)


def made(settings: dict[str, Any]) -> TrustedHeader:
    """As they are, past the conversion that finds an empty secret in a configuration file."""
    return TrustedHeader(TrustedHeaderSettings(**{"permissions": ["runs:read"], **settings}))


def test_it_says_what_it_looks_at() -> None:
    authenticator = believing(PROXY, header="X-Email")
    assert isinstance(authenticator, DescribesCredential)
    assert authenticator.credential()["name"] == "X-Email"
