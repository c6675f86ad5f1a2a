"""Hashed keys keep the contract of authenticators, on each storage."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentops.accounts.key_text import make_key
from agentops.core.kit import Kit
from agentops.core.lanes import Lane
from agentops.core.ports.credential import DescribesCredential
from agentops.core.ports.keys import MakesKeys
from agentops.core.ports.withdrawal import Rechecks
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.testing._auth.base import OnePage
from agentops.testing.auth import AuthContract
from tests.accounts.parts import cheap_hashes
from tests.security.key_making import caller, made, secret_of, storages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agentops.core.ports.auth import Caller
    from agentops.testing._running import Running

__all__ = ["cheap_hashes"]


@pytest.mark.usefixtures("cheap_hashes")
class TestHashedKeys(AuthContract):
    may_grow_by = AuthContract.may_grow_by if sys.gettrace() is None else 4 * 1024 * 1024
    """To measure coverage takes a tracer for each greenlet, and reading from Postgres a greenlet for each row."""

    @pytest.fixture(params=["sqlite", "postgres"])
    def kit(self, authenticator: HashedKeys, request: pytest.FixtureRequest, tmp_path: Path) -> Kit:
        lane = Lane("/lane", auth=["mine"], serve=[OnePage()])
        storage = storages(request.param, request, tmp_path)()
        return Kit(storage=storage, auth={"mine": authenticator}, lanes=[lane])

    @pytest.fixture
    def authenticator(self) -> HashedKeys:
        return HashedKeys()

    @pytest_asyncio.fixture
    async def key(self, running: Running) -> str:
        _, text = await made(running.kit.deployment.storage)
        return text

    @pytest.fixture
    def good(self, key: str) -> Caller:
        return caller(key)

    @pytest.fixture
    def wrong(self) -> Caller:
        return caller(make_key("ak_"))

    @pytest.fixture
    def many_wrong(self) -> Callable[[int], Caller]:
        return lambda _: caller(make_key("ak_"))

    @pytest.fixture
    def secrets(self, good: Caller, wrong: Caller) -> Sequence[str]:
        whole = [sent.headers[0][1].decode().removeprefix("Bearer ") for sent in (good, wrong)]
        return [*whole, *map(secret_of, whole)]


@pytest.mark.parametrize(
    ("settings", "scheme"),
    [
        ({}, {"type": "http", "scheme": "bearer"}),
        ({"header": "authorization"}, {"type": "http", "scheme": "bearer"}),
        ({"header": "X-Agent-Key"}, {"type": "apiKey", "in": "header", "name": "X-Agent-Key"}),
    ],
)
def test_it_says_what_it_can_do_and_in_which_header_it_wants_the_key(
    settings: dict[str, Any], scheme: dict[str, str]
) -> None:
    authenticator = HashedKeys(**settings)
    assert isinstance(authenticator, Rechecks)
    assert isinstance(authenticator, DescribesCredential)
    assert authenticator.credential() == scheme
    assert isinstance(authenticator, MakesKeys)
    assert authenticator.prefix == "ak_"
