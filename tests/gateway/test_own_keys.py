"""A user's own key for a provider is used in place of the server's, costs nothing here, and is never shown."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from agentops import ConfigurationError, Identity, Kit, Lane, Secret
from agentops.plugins.features.gateway import Gateway
from agentops.plugins.models.fixture import Fixture
from agentops.sql.tables import provider_keys
from agentops.testing.server import serving
from tests.core.parts import storage_in
from tests.gateway.gated import CHAT, gated

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from agentops.core.ports.model import Order, Whole
    from tests.gateway.gated import Gated

RING = [Secret(base64.b64encode(bytes(range(32))).decode())]
KEYS = "/api/llm/byok/keys"
KEY = "sk-canary-0123456789wxyz"
OTHER = "sk-canary-of-another-abcd"


class Keeping(Fixture):
    """Keeps the keys that it was asked with."""

    takes_keys = True

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[str | None] = []

    async def answer(self, order: Order) -> Whole:
        self.keys.append(order.key.reveal() if order.key else None)
        return await super().answer(order)


async def ask(gate: Gated, method: str, path: str = KEYS, name: str = "alice", **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {name}"}
    sent: dict[str, Any] = {"json": body} if body else {}
    return await gate.server.client.request(method, path, headers=headers, **sent)


async def stored(gate: Gated, key: str = KEY, provider: str = "echo", name: str = "alice") -> dict[str, Any]:
    answer = await ask(gate, "POST", name=name, provider=provider, api_key=key)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_it_is_used_first_and_costs_nothing_here(tmp_path: Path) -> None:
    model = Keeping()
    async with gated(tmp_path, {"echo": model}, ring=RING, credits={"starting": 5_000_000}) as gate:
        gate.let_in("bob")
        told = await stored(gate)
        assert (told["provider"], told["shown"], told["last_used"]) == ("echo", "…wxyz", None)
        mine = (await gate.chat("alice")).json()["_metadata"]
        bobs = (await gate.chat("bob")).json()["_metadata"]
        assert (mine["using_byok"], mine["byok_provider"], mine["cost_incurred"]) == (True, "echo", 0)
        assert (bobs["using_byok"], bobs["byok_provider"]) == (False, None)
        assert bobs["cost_incurred"] > 0
        assert (await gate.get("/llm/credits"))["credits_used"] == 0
        assert (await ask(gate, "GET", name="bob")).json() == {"keys": [], "total": 0}
        (listed,) = (await ask(gate, "GET")).json()["keys"]
        assert listed == told | {"last_used": listed["last_used"]}
        assert listed["last_used"] is not None

        await stored(gate, OTHER)
        await gate.chat("alice")
        assert (await ask(gate, "DELETE", f"{KEYS}/echo")).json() == {"message": "the key is deleted", "success": True}
        assert (await ask(gate, "DELETE", f"{KEYS}/echo")).status_code == 404
        assert (await gate.chat("alice")).json()["_metadata"]["cost_incurred"] > 0
        assert model.keys == [KEY, None, OTHER, None]


async def test_only_a_provider_that_has_the_callers_key_is_asked(tmp_path: Path) -> None:
    first, second = Keeping(), Keeping()
    async with gated(tmp_path, {"first": first, "second": second}, ring=RING) as gate:
        await stored(gate, provider="second")
        assert (await gate.chat()).json()["_metadata"]["provider_used"] == "second"
        assert (first.keys, second.keys) == ([], [KEY])


async def test_one_that_cannot_be_read_is_told_and_no_other_is_used(tmp_path: Path) -> None:
    model = Keeping()
    async with gated(tmp_path, {"echo": model}, ring=RING) as gate:
        gate.let_in("bob")
        await stored(gate)
        async with gate.kit.deployment.storage.write() as connection:
            await connection.execute(update(provider_keys).values(owner="bob"))
        answer = await gate.chat("bob")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "own_key_unreadable")
        assert model.keys == []
        assert len(gate.told.named("provider_key.unreadable")) == 1


REFUSED: dict[str, tuple[dict[str, Any], str | None]] = {
    "another provider": ({"provider": "ecko", "api_key": KEY}, "provider"),
    "short": ({"provider": "echo", "api_key": "canary"}, "api_key"),
    "with a line break": ({"provider": "echo", "api_key": f"{KEY}\n"}, "api_key"),
    "no text": ({"provider": "echo", "api_key": [KEY]}, None),
    "nothing": ({"provider": "echo"}, None),
    "something else": ({"provider": "echo", "api_key": KEY, "base_url": "http://canary"}, None),
}


@pytest.mark.parametrize(("body", "param"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_stored_is_refused_without_being_shown(
    tmp_path: Path, body: dict[str, Any], param: str | None
) -> None:
    async with gated(tmp_path, {"echo": Keeping()}, ring=RING) as gate:
        answer = await ask(gate, "POST", **body)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param
        assert "canary" not in answer.text
        assert (await ask(gate, "GET")).json()["total"] == 0


async def test_who_may_call_models_may_not_change_where_the_calls_go(tmp_path: Path) -> None:
    """An agent's key that leaked could else have the calls of its owner read by somebody else's account."""
    async with gated(tmp_path, {"echo": Keeping()}, ring=RING) as gate:
        gate.who.known["agent"] = Identity("alice", permissions=frozenset({"llm:call"}), credential="key:agent")
        assert (await gate.chat("agent")).status_code == 200
        for method, path in (("POST", KEYS), ("GET", KEYS), ("DELETE", f"{KEYS}/echo")):
            assert (await ask(gate, method, path, "agent")).status_code == 403


async def test_without_a_ring_there_are_none(tmp_path: Path) -> None:
    async with gated(tmp_path) as gate:
        for method, path in (("POST", KEYS), ("GET", KEYS), ("DELETE", f"{KEYS}/echo")):
            answer = await ask(gate, method, path)
            assert (answer.status_code, list(answer.json())) == (404, ["error"])


async def test_who_is_not_known_has_none(tmp_path: Path) -> None:
    gateway = Gateway(
        models={"small": {"targets": [{"provider": "echo"}]}},
        prices=[{"provider": "echo", "model": "small", "input": 0, "output": 0}],
        ring=RING,
    )
    kit = Kit(storage=storage_in(tmp_path), models={"echo": Fixture()}, lanes=[Lane("/api", serve=[gateway])])
    async with serving(kit) as server:
        answer = await server.client.post(KEYS, json={"provider": "echo", "api_key": KEY})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "nobody_known")
        body = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
        assert (await server.client.post(CHAT, json=body)).status_code == 200


def test_a_ring_that_seals_nothing_is_told_before_a_start(tmp_path: Path) -> None:
    gateway = Gateway(
        models={"small": {"targets": [{"provider": "echo"}]}},
        prices=[{"provider": "echo", "model": "small", "input": 0, "output": 0}],
        ring=[*RING, Secret("canary")],
    )
    with pytest.raises(ConfigurationError) as raised:
        Kit(storage=storage_in(tmp_path), models={"echo": Fixture()}, lanes=[Lane("/api", serve=[gateway])])
    assert "features.Gateway.ring[1]: this is no key of 32 bytes" in str(raised.value)
    assert "canary" not in str(raised.value)


async def test_where_nobody_checks_them_no_keys_are_taken(tmp_path: Path) -> None:
    """Any text would be a key there, and whoever has one is not charged."""
    async with gated(tmp_path, {"echo": Fixture()}, ring=RING) as gate:
        refused = await ask(gate, "POST", provider="echo", api_key=KEY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unknown_provider")
