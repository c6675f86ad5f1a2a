from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from agentops.core.config.settings import ServerSettings
from agentops.core.deployment import Deployment
from agentops.core.discovery import find
from agentops.core.lanes import Lane, is_loopback
from agentops.core.permissions import is_permission
from agentops.core.plugin import NoSettings, Settings
from agentops.core.ports.auth import Authenticator, Caller
from agentops.core.ports.feature import Feature
from agentops.core.problem import Problem


class SwitchSettings(Settings):
    on: bool = True


class Switch(Authenticator[SwitchSettings]):
    @property
    def armed(self) -> bool:
        return self.settings.on

    async def authenticate(self, caller: Caller) -> None:
        return None

    def check(self) -> list[Problem]:
        return [] if self.settings.on else [Problem("on", "it is off", "nobody is asked", "switch it on")]


class GrantingSettings(Settings):
    permissions: list[str] = []


class Shop(Feature[NoSettings]):
    def routes(self) -> Sequence[object]:
        return []


class Vault(Shop):
    may_be_open: ClassVar[bool] = False


class Safe(Vault):
    """Another that may not be open."""


def composed(*lanes: Lane, **parts: Any) -> Deployment:
    defaults = {"storage": find("storage", "sqlite")(path=":memory:"), "bus": find("bus", "memory")()}
    return Deployment(**{**defaults, "lanes": lanes, **parts})


def said(*lanes: Lane, **parts: Any) -> list[str]:
    return [str(problem) for problem in composed(*lanes, **parts).problems()]


def test_lanes_side_by_side_are_right() -> None:
    shop = Shop()
    lanes = [Lane("/a/v1", [shop]), Lane("/a/v2", [shop]), Lane("/a/v1x", [shop]), Lane("/schemas", [shop])]
    assert said(*lanes) == []
    assert composed(*lanes).features == [shop]


def test_one_without_lanes_serves_nothing() -> None:
    assert said()[0].startswith("lanes: there is no lane; ")
    assert said(Lane("/a", []))[0].startswith("Lane('/a').serve: nothing is served; ")


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("api", "/api"), ("/api/", "/api"), ("//api", "/api"), ("/api//v1", "/api/v1"), ("/api/{id}", "/api/id"),
        ("/a b", "/a/b"), ("/../a", "/a"), ("/a/..", "/a"), ("/.", "/api"), ("", "/api"), ("/a\n", "/a"),
        ("/a?b", "/a/b"),
    ],
)  # fmt: skip
def test_a_malformed_path_is_told_with_one_that_is_right(path: str, remedy: str) -> None:
    (line,) = said(Lane(path, [Shop()], name="x"))
    assert line.startswith("lanes.x.path: ")
    assert f"write {remedy!r}: " in line


@pytest.mark.parametrize("path", ["/schema", "/healthz", "/schema/openapi.json"])
def test_a_path_of_the_server_itself_is_refused(path: str) -> None:
    assert "belongs to the server itself" in said(Lane(path, [Shop()]))[0]


def test_the_root_is_refused_for_what_is_there() -> None:
    assert "a lane cannot be the root; /healthz and /schema are there" in said(Lane("/", [Shop()]))[0]


@pytest.mark.parametrize("paths", [("/a", "/a/b"), ("/a/b", "/a")])
def test_a_path_inside_another_is_refused_in_either_order(paths: tuple[str, str]) -> None:
    (line,) = said(*(Lane(path, [Shop()]) for path in paths))
    assert line.startswith(f"Lane('{paths[1]}').path: /a/b lies inside /a, and Lane('{paths[0]}') is the other")


def test_two_lanes_on_one_path_are_refused() -> None:
    (line,) = said(Lane("/a", [Shop()]), Lane("/a", [Shop()]))
    assert line.startswith("Lane('/a').path: Lane('/a') is at /a too; ")


def test_an_unknown_authenticator_is_named_with_the_nearest() -> None:
    lane = Lane("/a", [Shop()], auth=["kye"])
    assert said(lane, auth={"key": Switch()}) == [
        "Lane('/a').auth: no authenticator is called 'kye'; every request would be refused; did you mean 'key'?"
    ]
    assert said(lane)[0].endswith("add a table [auth.kye]")


class Maker(Switch):
    """Says what its keys begin with, as a stranger's authenticator may too."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix


def test_keys_of_two_authenticators_begin_differently() -> None:
    lane = Lane("/a", [Shop()], auth=["ours"])
    ours, theirs, others = Maker("ak_"), Maker("ak_"), Maker("uc_")
    (line,) = said(lane, auth={"ours": ours, "others": others, "plain": Switch(), "theirs": theirs})
    assert line == (
        "auth.theirs.prefix: the keys of auth.ours begin with 'ak_' too; "
        "a key that was made for one of the two would open the lanes of the other; give each a prefix of its own"
    )
    assert said(lane, auth={"ours": ours, "others": others}) == []


class Granting(Authenticator[GrantingSettings]):
    """Finds for itself what is no permission at all."""

    async def authenticate(self, caller: Caller) -> None:
        return None

    def check(self) -> list[Problem]:
        wrong = [right for right in self.settings.permissions if not is_permission(right)]
        return [Problem("permissions", f"{right!r} is none", "it grants nothing", "remove it") for right in wrong]


def test_a_permission_that_is_none_is_told_once_and_others_beside_it_too() -> None:
    granting = Granting(permissions=["nonsense", "runs:raed", "runs:read"])
    told = said(Lane("/a", [Shop()], auth=["it"]), auth={"it": granting})
    assert [line.split("; ")[0] for line in told] == [
        "auth.it.permissions: 'nonsense' is none",
        "auth.it.permissions: there is no permission 'runs:raed'",
        "auth.it.permissions: there is no permission 'runs:read'",
    ]


@pytest.mark.parametrize("method", ["check", "check_beside"])
def test_a_check_that_fails_is_the_plugins_fault_and_shows_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*_: object) -> list[Problem]:
        raise RuntimeError("hunter2-in-clear")

    monkeypatch.setattr(Shop, method, fail)
    (line,) = said(Lane("/a", [Shop()]))
    assert line.startswith("features.Shop: Shop failed while it was checked: RuntimeError at test_deployment.py:")
    assert "hunter2" not in line


@pytest.mark.parametrize("chain", [[], ["off"]], ids=["no-auth", "unarmed"])
class TestOpenLane:
    off: ClassVar[dict[str, Authenticator[Any]]] = {"off": Switch(on=False), "on": Switch()}

    def lines(self, lane: Lane, host: str = "127.0.0.1") -> list[str]:
        told = said(lane, auth=self.off, server=ServerSettings(host=host))
        assert told.pop(0).startswith("auth.off.on: it is off; ")
        return told

    def test_on_loopback_it_is_right(self, chain: list[str]) -> None:
        assert self.lines(Lane("/a", [Shop()], auth=chain)) == []

    def test_where_others_reach_it_it_must_say_so(self, chain: list[str]) -> None:
        (line,) = self.lines(Lane("/a", [Shop()], auth=chain), "0.0.0.0")
        assert "0.0.0.0 can be reached by others; anybody who finds it could read and write everything in it; " in line
        assert ("give 'off' something to check against, listen" in line) == bool(chain)
        assert ("name one in `auth = " in line) == (not chain)
        assert self.lines(Lane("/a", [Shop()], auth=chain, open=True), "0.0.0.0") == []
        assert self.lines(Lane("/a", [Shop()], auth=[*chain, "on"]), "0.0.0.0") == []

    def test_some_features_may_never_be_open(self, chain: list[str]) -> None:
        (line,) = self.lines(Lane("/a", [Shop(), Vault()], auth=chain, open=True))
        assert "serves Vault, which may not be open; anybody who reaches it could take the deployment over; " in line
        assert self.lines(Lane("/a", [Vault()], auth=[*chain, "on"])) == []

    def test_all_of_these_are_named_at_once(self, chain: list[str]) -> None:
        (line,) = self.lines(Lane("/a", [Vault(), Shop(), Safe()], auth=chain))
        assert "serves Vault, Safe, which may not be open; " in line

    def test_nobody_is_told_to_open_what_may_not_be_open(self, chain: list[str]) -> None:
        _, line = self.lines(Lane("/a", [Vault()], auth=chain), "0.0.0.0")
        assert "0.0.0.0 can be reached by others; " in line
        assert "open = true" not in line


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("", False), ("example.org", False), ("10.0.0.1", False)],
)  # fmt: skip
def test_loopback_is_known_by_its_address(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_several_workers_need_parts_that_span_processes() -> None:
    lane = Lane("/a", [Shop()])
    one_process = {"limiter": find("limiter", "sample_plugins:Abacus")()}
    several = ServerSettings(workers=4, port=0)
    assert [line.split("; ")[0] for line in said(lane, server=several, **one_process)] == [
        "server.workers: 4 workers on a bus that reaches one process only (Memory)",
        "server.workers: 4 workers on a limiter that counts in one process only (Abacus)",
        "server.port: 4 workers on port 0",
    ]
    assert said(lane, server=ServerSettings(workers=4), bus=find("bus", "sample_plugins:Horn")()) == []
    assert said(lane, server=ServerSettings(port=0), **one_process) == []


def test_every_part_is_checked_under_its_own_name() -> None:
    parts = composed(
        Lane("/a", [Shop()]),
        telemetry={"log": find("telemetry", "log")()},
        retry=find("retry", "none")(),
        limiter=find("limiter", "sample_plugins:Abacus")(),
        auth={"key": Switch()},
    ).parts()
    assert [key for key, _ in parts] == [
        "storage",
        "bus",
        "limiter",
        "retry",
        "telemetry.log",
        "auth.key",
        "features.Shop",
    ]
