"""Lanes whose authenticators fail, beside lanes whose authenticators do not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.kit import Kit
from agentops.core.lanes import Lane
from agentops.core.plugin import NoSettings
from agentops.core.ports.auth import Authenticator, Caller
from agentops.core.problem import ConfigurationError
from agentops.testing.server import serving
from tests.core.parts import Badge, Kept, Probe, storage_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from agentops.core.identity import Identity
    from agentops.core.rungs import Rungs


class Broken(Authenticator[NoSettings]):
    """Cannot start, for a reason that holds a secret."""

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        raise OSError("cannot reach the directory with the password hunter2")
        yield  # pragma: no cover

    async def authenticate(self, caller: Caller) -> Identity | None:
        raise AssertionError("it was never started")


def kit_with_a_broken_lane(tmp_path: Path, kept: Kept) -> Kit:
    return Kit(
        storage=storage_in(tmp_path),
        telemetry={"kept": kept},
        auth={"broken": Broken(), "badge": Badge()},
        lanes=[
            Lane("/broken", [Probe()], ["broken", "badge"], "detail"),
            Lane("/behind", [Probe()], ["badge", "broken"], "plain"),
            Lane("/sound", [Probe()], ["badge"], "plain"),
        ],
    )


async def test_a_lane_whose_authenticator_cannot_start_is_closed_in_its_own_style(tmp_path: Path) -> None:
    async with serving(kit_with_a_broken_lane(tmp_path, Kept())) as server:
        answer = await server.client.get("/broken/who", headers={"x-badge": "reader"})
        assert answer.status_code == 503
        assert answer.json() == {"detail": "credentials cannot be checked right now"}
        assert answer.headers["retry-after"]


async def test_every_other_lane_serves_on(tmp_path: Path) -> None:
    async with serving(kit_with_a_broken_lane(tmp_path, Kept())) as server:
        for lane in ("/sound", "/behind"):
            assert (await server.client.get(f"{lane}/who", headers={"x-badge": "reader"})).status_code == 200
        assert (await server.client.get("/sound/who")).status_code == 401
        assert (await server.client.get("/behind/who")).status_code == 503
        assert (await server.client.get("/healthz")).status_code == 200


async def test_it_is_told_once_with_what_failed_and_no_secret(tmp_path: Path) -> None:
    kept = Kept()
    kit = kit_with_a_broken_lane(tmp_path, kept)
    async with kit.running():
        assert list(kit.down) == ["broken"]
    level, fields = kept.only("auth.down")
    assert level == "error"
    assert fields["auth"] == "broken"
    assert fields["lanes"] == ["/broken", "/behind"]
    assert "OSError" in str(fields["reason"])
    assert "hunter2" not in str(fields)


async def test_one_that_starts_the_next_time_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = kit_with_a_broken_lane(tmp_path, Kept())
    async with kit.running():
        assert kit.down
    monkeypatch.setattr(Broken, "life", Badge.life)
    async with kit.running():
        assert not kit.down


@pytest.mark.parametrize("permission", ["probe:raed", "*", "runs:*", "nothing"])
def test_a_route_may_not_ask_for_what_does_not_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, permission: str
) -> None:
    monkeypatch.setattr(Probe, "permissions", {"probe:write": "touch", "probe:look": "look"})
    routes: Any = Probe.routes

    def with_this_permission(probe: Probe) -> Any:
        made = routes(probe)
        made[0].opt["permission"] = permission
        return made[:1]

    monkeypatch.setattr(Probe, "routes", with_this_permission)
    kit = Kit(storage=storage_in(tmp_path), auth={"badge": Badge()}, lanes=[Lane("/api", [Probe()], ["badge"])])
    with pytest.raises(ConfigurationError, match=r"could be granted to nobody") as raised:
        kit.app()
    assert repr(permission) in str(raised.value)
