from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.config.files import shipped
from agentops.core.config.load import load
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from tests.core.config.conftest import Find, Write

LANE = '[lanes.a]\npath = "/a"\nserve = ["runs"]\n'


def settings(plugin: object) -> Any:
    return getattr(plugin, "settings")  # noqa: B009 - each kind's settings are its own


class TestDashboard:
    def test_without_anything_set_it_is_an_open_lane_on_loopback(self) -> None:
        made = load(environ={})
        assert (made.server.host, made.server.port, made.server.workers) == ("127.0.0.1", 8787, 1)
        assert made.events.retention == 5000
        assert settings(made.storage).path == "agentops.sqlite"
        (lane,) = made.lanes
        assert (lane.name, lane.path, lane.errors, lane.cors, lane.auth) == ("api", "/api", "plain", ["*"], ["key"])
        assert [type(feature).__name__ for feature in made.features] == ["Runs"]
        assert list(made.telemetry) == ["log"]
        assert not made.auth["key"].armed
        assert lane.is_unguarded(made.auth)
        assert made.source == str(shipped()["dashboard"])

    def test_its_three_variables_are_read(self) -> None:
        environ = {"PORT": "9000", "EVENT_RETENTION_MAX": "7", "AGENTOPS_API_KEY": "sesame"}
        made = load(environ=environ)
        assert (made.server.port, made.events.retention) == (9000, 7)
        assert settings(made.auth["key"]).keys == [Secret("sesame")]
        assert not made.lanes[0].is_unguarded(made.auth)

    def test_an_empty_key_counts_as_unset(self) -> None:
        assert not load(environ={"AGENTOPS_API_KEY": ""}).auth["key"].armed

    def test_on_every_address_it_wants_the_key(self) -> None:
        with pytest.raises(
            Exception, match=r"--set|dashboard.toml: lanes.api.auth: .* set AGENTOPS_API_KEY, listen on"
        ):
            load(environ={}, sets=["server.host=0.0.0.0"])
        assert load(environ={"AGENTOPS_API_KEY": "k"}, sets=["server.host=0.0.0.0"]).server.host == "0.0.0.0"
        assert load(environ={}, sets=["server.host=0.0.0.0", "lanes.api.open=true"]).lanes[0].open


def test_a_lane_is_all_that_must_be_said(written: Write) -> None:
    made = load(written(LANE), environ={})
    assert type(made.storage).__name__ == "Sqlite"
    assert type(made.bus).__name__ == "Memory"
    assert (made.limiter, made.retry, made.telemetry, made.auth) == (None, None, {}, {})


def test_every_section_makes_its_plugins(written: Write) -> None:
    text = """
[bus]
use = "sample_plugins:Horn"
[limiter]
use = "sample_plugins:Abacus"
[retry]
use = { env = "RETRY", default = "none" }
[auth.gate]
use = "sample_plugins:Gate"
badge = "one"
[features.unused]
use = "sample_plugins:Vault"
[features.shop]
use = "sample_plugins:Shop"
[lanes.a]
path = "/a"
serve = ["shop", "runs"]
auth = ["gate"]
[lanes.b]
path = "/b"
serve = ["shop", "sample_plugins:Vault"]
auth = ["gate"]
"""
    made = load(written(text), environ={})
    assert [type(part).__name__ for _, part in made.parts()] == [
        "Sqlite", "Horn", "Abacus", "NoRetry", "Gate", "Shop", "Runs", "Vault",
    ]  # fmt: skip
    assert made.lanes[0].serve[0] is made.lanes[1].serve[0], "one table is one object, in however many lanes"


def test_where_anything_is_told_the_log_tells_too(written: Write) -> None:
    figures = f'{LANE}\n[telemetry.figures]\nuse = "prometheus"\n'
    assert list(load(written(figures), environ={}).telemetry) == ["log", "figures"]
    with_log = f'{figures}[telemetry.lines]\nuse = "log"\nlevel = "error"\n'
    assert list(load(written(with_log), environ={}).telemetry) == ["figures", "lines"]


def test_whole_tables_can_be_given_from_outside(written: Write) -> None:
    made = load(written(LANE), environ={"AGENTOPS__STORAGE": '{ path = "b.sqlite" }'}, sets=["server={ port = 5 }"])
    assert (settings(made.storage).path, made.server.port) == ("b.sqlite", 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "my.toml: lanes: there is no lane; "),
        ("lanes = 5", "my.toml: lanes: a whole number is not a table; "),
        (LANE + "[auth]\nkey = 5", "my.toml: auth.key: a whole number is not a table; "),
        (LANE + "[limiter]", "my.toml: limiter: `use` is missing; "),
        (LANE + "[auth.key]\nuse = 5", "my.toml: auth.key.use: 5 is not text; "),
        (LANE + "[auth.key]\nuse = 'static-kye'", "my.toml: auth.key.use: no auth plugin is called 'static-kye'; "),
        (LANE + "[auth.key]", "my.toml: auth.key: no auth plugin is called 'key'; "),
        (LANE + "[features.s]\nuse = 'sample_plugins:Refusing'", "my.toml: features.s: a shop is closed on Sundays; "),
        (LANE + "[features.s]\nuse = 'sample_plugins:Reporting'", "my.toml: features.s.door: it is closed; "),
        (LANE + "[storage]\nuse = 'sqlite'\npath = '.'", "my.toml: storage.path: '.' is a folder; "),
        (LANE.replace('"runs"', '"runs", "runs"'), "my.toml: lanes.a.serve: a feature is named twice; "),
        (LANE.replace('"runs"', '"no:Such"'), "my.toml: lanes.a.serve: no module is called 'no'; "),
        (LANE + "auth = ['x']", "my.toml: lanes.a.auth: no authenticator is called 'x'; "),
        (
            LANE + "[auth.a]\nuse = 'hashed-keys'\n[auth.b]\nuse = 'hashed-keys'\nprefix = 'ak_'",
            "my.toml: auth.b.prefix: the keys of auth.a begin with 'ak_' too; ",
        ),
        (
            LANE + "[features.s]\nuse = 'runs'\nx = 1",
            "my.toml: features.s.x: no such setting; it would change nothing; r",
        ),
        (
            LANE + f"[auth.j]\nuse = 'jwt'\nsecret = '{'x' * 64}'\ndefault_permissions = ['nonsense']",
            "my.toml: auth.j.default_permissions: 'nonsense' is no permission; ",
        ),
        (
            LANE
            + f"[auth.j]\nuse = 'jwt'\n[[auth.j.issuers]]\nsecret = '{'x' * 64}'\ndefault_permissions = ['runs:raed']",
            "my.toml: auth.j.issuers[0].default_permissions: there is no permission 'runs:raed'; ",
        ),
        ("[lanes.a]\nserve = ['runs']", "my.toml: lanes.a.path: missing; "),
        ("[lanes.a]\npath = '/a'", "my.toml: lanes.a.serve: missing; "),
        ("[lanes]\na = '/a'", "my.toml: lanes.a: text is not a table; "),
    ],
)
def test_one_mistake_gives_one_line(mistakes: Find, text: str, said: str) -> None:
    (line,) = mistakes(text)
    assert line.startswith(said)


@pytest.mark.parametrize("wrong", ['auth = "key"', "auth = [5]", 'open = "yes"', "serve = [5]", "path = 5"])
def test_a_wrong_key_of_a_lane_is_not_blamed_for_what_it_would_have_changed(mistakes: Find, wrong: str) -> None:
    lane = {"path": 'path = "/a"', "serve": 'serve = ["runs"]', wrong.partition(" ")[0]: wrong}
    (line,) = mistakes(
        "[server]\nhost = '::'\n[lanes.a]\n"
        + "\n".join(lane.values())
        + "\n"
        + ("" if wrong.startswith(("auth", "open")) else "open = true\n")
    )
    assert line.startswith(f"my.toml: lanes.a.{wrong.partition(' ')[0]}")


def test_a_plugin_that_could_not_be_made_is_not_missed_elsewhere(mistakes: Find) -> None:
    text = """
[server]
host = "0.0.0.0"
workers = 2
[bus]
use = "memroy"
[auth.key]
use = "static-key"
colour = "red"
[features.shop]
use = "sample_plugins:Shop"
colour = "red"
[lanes.a]
path = "/a"
serve = ["shop"]
auth = ["key"]
"""
    assert [line.split(": ")[1] for line in mistakes(text)] == ["bus.use", "auth.key.colour", "features.shop.colour"]


def test_what_a_plugin_finds_wrong_stands_under_its_table(mistakes: Find) -> None:
    text = LANE + '[auth.gate]\nuse = "sample_plugins:Gate"\nbadge = "one"\n'
    (line,) = mistakes(text, {"AGENTOPS__AUTH__GATE__HEADER": "cookie"})
    assert line == (
        "AGENTOPS__AUTH__GATE__HEADER: auth.gate.header: a cookie is not a badge; browsers send it unasked; "
        "name another header"
    )
