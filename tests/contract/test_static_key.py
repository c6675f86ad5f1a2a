"""A static key keeps the contract of authenticators, wherever it is sent and whatever a wrong one answers."""

from __future__ import annotations

import pytest

from agentops.core.ports.auth import Caller
from agentops.core.secret import Secret
from agentops.plugins.auth.static_key import StaticKey, StaticKeySettings
from agentops.testing.auth import AuthContract

KEYS = [Secret("correct-horse-battery"), Secret("the-key-of-last-month")]


@pytest.fixture(params=KEYS, ids=["first-key", "second-key"])
def key(request: pytest.FixtureRequest) -> Secret:
    chosen: Secret = request.param
    return chosen


class TestStaticKey(AuthContract):
    @pytest.fixture
    def authenticator(self) -> StaticKey:
        return StaticKey(StaticKeySettings(keys=KEYS))

    @pytest.fixture
    def good(self, key: Secret) -> Caller:
        return Caller([(b"x-api-key", key.reveal().encode())])

    @pytest.fixture
    def wrong(self) -> Caller:
        return Caller([(b"x-api-key", b"incorrect-horse")])


class TestStaticKeyThatForbids(AuthContract):
    @pytest.fixture
    def authenticator(self) -> StaticKey:
        permissions = ["runs:read", "runs:write"]
        return StaticKey(
            StaticKeySettings(header="X-Olumi-Assist-Key", keys=KEYS, wrong_key_status=403, permissions=permissions)
        )

    @pytest.fixture
    def good(self) -> Caller:
        return Caller([(b"x-olumi-assist-key", KEYS[0].reveal().encode())])

    @pytest.fixture
    def wrong(self) -> Caller:
        return Caller([(b"x-olumi-assist-key", b"incorrect-horse")])


async def test_without_a_key_it_is_not_armed_and_lets_nobody_in_by_itself() -> None:
    assert StaticKey().armed is False
    assert await StaticKey().authenticate(Caller([])) is None
