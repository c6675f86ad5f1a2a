"""A static key keeps the contract of authenticators, wherever it is sent and whatever a wrong one answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.errors import Rejected
from agentops.core.identity import Identity
from agentops.core.ports.auth import Caller
from agentops.core.ports.credential import DescribesCredential
from agentops.core.secret import Secret
from agentops.plugins.auth.static_key import StaticKey, StaticKeySettings
from agentops.testing.auth import AuthContract, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

KEYS = [Secret("correct-horse-battery"), Secret("the-key-of-last-month")]


@pytest.fixture(params=KEYS, ids=["first-key", "second-key"])
def key(request: pytest.FixtureRequest) -> Secret:
    chosen: Secret = request.param
    return chosen


def sending(value: str, header: bytes = b"x-api-key") -> Caller:
    return Caller([(header, value.encode())])


def as_a_bearer_token() -> StaticKey:
    return StaticKey(header="Authorization", scheme="Bearer", keys=KEYS)


class TestStaticKey(AuthContract):
    @pytest.fixture
    def authenticator(self) -> StaticKey:
        return StaticKey(StaticKeySettings(keys=KEYS))

    @pytest.fixture
    def good(self, key: Secret) -> Caller:
        return sending(key.reveal())

    @pytest.fixture
    def wrong(self) -> Caller:
        return sending("incorrect-horse")


class TestStaticKeyThatForbids(AuthContract):
    @pytest.fixture
    def authenticator(self) -> StaticKey:
        permissions = ["runs:read", "runs:write"]
        return StaticKey(
            StaticKeySettings(header="X-Olumi-Assist-Key", keys=KEYS, wrong_key_status=403, permissions=permissions)
        )

    @pytest.fixture
    def good(self) -> Caller:
        return sending(KEYS[0].reveal(), b"x-olumi-assist-key")

    @pytest.fixture
    def wrong(self) -> Caller:
        return sending("incorrect-horse", b"x-olumi-assist-key")


class TestStaticKeyAsABearerToken(AuthContract):
    @pytest.fixture
    def authenticator(self) -> StaticKey:
        return as_a_bearer_token()

    @pytest.fixture
    def good(self) -> Caller:
        return sending(f"Bearer {KEYS[1].reveal()}", b"authorization")

    @pytest.fixture
    def wrong(self) -> Caller:
        return sending("Bearer incorrect-horse", b"authorization")

    @pytest.fixture
    def near_good(self, good: Caller) -> Sequence[Caller]:
        sent = KEYS[1].reveal()
        values = ["Bearer", f"Bearer {sent[:-1]}", f"Bearer {sent} {sent}", f"Bearer, {sent}", f"Bearer\t{sent}"]
        return [sending(value, b"authorization") for value in values]


async def test_without_a_key_it_is_not_armed_and_lets_nobody_in_by_itself() -> None:
    assert StaticKey().armed is False
    assert await StaticKey().authenticate(Caller([])) is None
    assert isinstance(await verdict(StaticKey(), sending("any")), Rejected)


async def test_one_key_can_be_rolled_while_the_other_works() -> None:
    old, new = KEYS
    before, between, after = StaticKey(keys=[old]), StaticKey(keys=[new, old]), StaticKey(keys=[new])
    verdicts = {
        (name, key): isinstance(await verdict(one, sending(key.reveal())), Identity)
        for name, one in {"before": before, "between": between, "after": after}.items()
        for key in KEYS
    }
    assert [who for who, let_in in verdicts.items() if let_in] == [
        ("before", old),
        ("between", old),
        ("between", new),
        ("after", new),
    ]


async def test_every_key_is_compared_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    matches = Secret.matches

    def counted(self: Secret, presented: str) -> bool:
        compared.append(self.reveal())
        return matches(self, presented)

    monkeypatch.setattr(Secret, "matches", counted)
    for presented in (KEYS[0].reveal(), KEYS[1].reveal(), "neither"):
        compared.clear()
        await verdict(StaticKey(StaticKeySettings(keys=KEYS)), sending(presented))
        assert compared == [key.reveal() for key in KEYS]


@pytest.mark.parametrize("value", ["bearer {}", "BEARER {}", "Bearer   {}"])
async def test_the_case_of_a_scheme_and_the_blanks_behind_it_do_not_matter(value: str) -> None:
    sent = sending(value.format(KEYS[0].reveal()), b"authorization")
    assert isinstance(await verdict(as_a_bearer_token(), sent), Identity)


@pytest.mark.parametrize("value", ["Basic {}", "{}", "Bearer{}", "Token {}", "DPoP {}"])
async def test_another_scheme_is_left_to_the_next(value: str) -> None:
    sent = sending(value.format(KEYS[0].reveal()), b"authorization")
    assert await verdict(as_a_bearer_token(), sent) is None


async def test_an_empty_key_lets_nobody_in_even_if_it_was_configured() -> None:
    empty = StaticKeySettings(keys=[Secret("")])
    assert await verdict(StaticKey(empty), sending("")) is None


@pytest.mark.parametrize(
    ("settings", "scheme"),
    [
        ({}, {"type": "apiKey", "in": "header", "name": "x-api-key"}),
        ({"header": "Authorization"}, {"type": "apiKey", "in": "header", "name": "Authorization"}),
        ({"header": "authorization", "scheme": "Bearer"}, {"type": "http", "scheme": "bearer"}),
        ({"header": "X-Key", "scheme": "Key"}, {"type": "apiKey", "in": "header", "name": "X-Key"}),
    ],
)
def test_it_says_in_which_header_it_wants_the_key(settings: dict[str, Any], scheme: dict[str, str]) -> None:
    authenticator = StaticKey(**settings)
    assert isinstance(authenticator, DescribesCredential)
    assert authenticator.credential() == scheme


KNOWN = "correct-horse-battery"
OTHER = "the-key-of-last-month"
SENT: dict[str, tuple[list[tuple[bytes, str]], bool | None]] = {
    "nowhere": ([], None),
    "in the first": ([(b"x-api-key", KNOWN)], True),
    "in the second": ([(b"authorization", f"Bearer {KNOWN}")], True),
    "in the third": ([(b"x-third", KNOWN)], True),
    "the same in two": ([(b"x-api-key", KNOWN), (b"authorization", f"bearer {KNOWN}")], True),
    "wrong in the second": ([(b"authorization", "Bearer wrong")], False),
    "two that are both good": ([(b"x-api-key", KNOWN), (b"x-third", OTHER)], False),
    "a wrong one beside a good one": ([(b"x-api-key", KNOWN), (b"x-third", "wrong")], False),
    "another scheme beside it": ([(b"authorization", "Basic YTpi"), (b"x-third", KNOWN)], True),
    "twice in the second": ([(b"x-third", KNOWN), (b"x-third", KNOWN)], False),
    "alone where a scheme is wanted": ([(b"authorization", KNOWN)], None),
}


@pytest.mark.parametrize(("sent", "good"), SENT.values(), ids=SENT)
async def test_it_may_be_sent_in_one_of_several_headers(sent: list[tuple[bytes, str]], good: bool | None) -> None:
    key = StaticKey(keys=KEYS, more_headers=["Authorization", "X-Third"])
    outcome = await verdict(key, Caller([(name, value.encode()) for name, value in sent]))
    assert isinstance(outcome, {True: Identity, False: Rejected, None: type(None)}[good])


def test_a_header_that_is_named_twice_is_told() -> None:
    (problem,) = StaticKey(keys=KEYS, more_headers=["x-other", "X-API-Key"]).check()
    assert (problem.key, problem.what) == ("more_headers[1]", "the header 'x-api-key' is named twice")


MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "empty": ({"keys": [Secret("")]}, "keys[0]", "whoever sends an empty one would match it"),
    "blank": ({"keys": [Secret("fine"), Secret(" \t ")]}, "keys[1]", "begins or ends with white space"),
    "space-behind": ({"keys": [Secret("a key ")]}, "keys[0]", "begins or ends with white space"),
    "line-break-behind": ({"keys": [Secret("a-key\r\n\n")]}, "keys[0]", "begins or ends with white space"),
    "line-break-inside": ({"keys": [Secret("a\nkey")]}, "keys[0]", "characters that a header does not carry"),
    "not-ascii": ({"keys": [Secret("schlüssel")]}, "keys[0]", "characters that a header does not carry"),
    "nul": ({"keys": [Secret("a\0key")]}, "keys[0]", "characters that a header does not carry"),
}


@pytest.mark.parametrize(("settings", "key", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_settings_is_told(settings: dict[str, Any], key: str, said: str) -> None:
    given = StaticKeySettings(**settings)
    (problem,) = StaticKey(given).check()
    assert problem.key == key
    assert said in str(problem)
    assert "" not in (problem.what, problem.why, problem.remedy)
    assert [secret for secret in given.keys if secret.reveal() and secret.reveal() in str(problem)] == []


def test_a_key_may_hold_all_that_a_header_carries_and_be_as_short_as_it_was() -> None:
    everything = "".join(map(chr, range(33, 127)))
    assert list(StaticKey(StaticKeySettings(keys=[Secret(everything), Secret("two words"), Secret("k")])).check()) == []
