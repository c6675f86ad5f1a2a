from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentops.core.config.load import load
from agentops.core.problem import ConfigurationError

if TYPE_CHECKING:
    from tests.core.config.conftest import Find, Write

A_DOZEN = """
colour = "red"

[server]
host = "0.0.0.0"
prot = 1
workers = 2
engine = "granian"

[events]
retention = "many"

[telemetry.figures]
use = "prometheus"

[storage]
path = "no/such/folder/agentops.sqlite"

[telemetry.lgo]

[auth.key]
use = "static-key"
keys = [{ env = "ABSENT_KEY" }]

[auth.badge]
use = "sample_plugins:Gate"
header = 5
badge = "hunter2-in-clear"

[auth.unset]
use = "static-key"
keys = [{ env = "UNSET_KEY", optional = true }]

[lanes.api]
path = "/api"
serve = ["runs"]
auth = ["kye"]
limits = { caller = ["often"] }

[lanes.same]
path = "/api"
serve = ["rusn"]
auth = ["key"]

[lanes.inside]
path = "/api/v1"
serve = ["runs"]
auth = ["badge"]

[lanes.vault]
path = "/vault"
limits = { caller = ["5/s"] }
serve = ["sample_plugins:Vault"]
auth = ["unset"]

[lanes.silent]
path = "/silent/"
serve = []
errors = "plian"
open = true
"""


def test_every_mistake_of_a_file_is_found_at_once_one_line_each(mistakes: Find) -> None:
    found = mistakes(A_DOZEN, {"AGENTOPS__SERVER__PORT": "many"}, ["lanes.api.colour=red", "nothing"])
    expected = [
        r"--set: nothing: not a key and a value; .*",
        r"my.toml: colour: no such section; .*",
        r"my.toml: server.prot: no such setting; .*; did you mean 'port'\?",
        r"AGENTOPS__SERVER__PORT: server.port: the value of AGENTOPS__SERVER__PORT is not a whole number from 0 to .*",
        r"my.toml: events.retention: 'many' is not a whole number of at least 0; .*",
        r"my.toml: telemetry.lgo: no telemetry plugin is called 'lgo'; .*; did you mean 'log'\?",
        r"my.toml: auth.key.keys\[0\]: missing secret: the variable ABSENT_KEY is not set; .*; set ABSENT_KEY .*",
        r"my.toml: auth.badge.header: 5 is not text; .*",
        r"--set: lanes.api.colour: no such setting; .*",
        r"my.toml: lanes.same.serve: no feature is called 'rusn'; .*; did you mean 'runs'\?",
        r"my.toml: lanes.silent.errors: 'plian' is not one of 'plain', .*; did you mean 'plain'\?",
        r"my.toml: lanes.silent.serve: nothing is served; .*",
        r"my.toml: lanes.same.path: lanes.api is at /api too; .*",
        r"my.toml: lanes.inside.path: /api/v1 lies inside /api, and lanes.api is the other of the two; .*",
        r"my.toml: lanes.inside.path: /api/v1 lies inside /api, and lanes.same is the other of the two; .*",
        r"my.toml: lanes.silent.path: '/silent/' is not a path for a lane; .*; write '/silent': .*",
        r"my.toml: storage.path: the folder .* does not exist; .*",
        r"my.toml: lanes.api.auth: no authenticator is called 'kye'; every request .*; did you mean 'key'\?",
        r"my.toml: lanes.vault.auth: the lane is open, .*, and serves Vault, which may not be open; .*; set UNSET_KEY",
        r"my.toml: lanes.vault.auth: the lane is open, .*, and 0.0.0.0 can be reached by others; .*",
        r"my.toml: lanes.vault.limits: nothing counts requests; .*; add a table \[limiter\] with .*",
        r"my.toml: lanes.api.limits.caller\[0\]: .*",
        r"my.toml: server.workers: 2 workers on a bus that reaches one process only \(Memory\); .*",
        r"my.toml: telemetry.figures: figures that are fetched, of 2 workers behind one port; .*; .* otlp or dogstatsd",
    ]
    unmet = [line for line in expected if not any(re.fullmatch(line, each) for each in found)]
    unasked = [each for each in found if not any(re.fullmatch(line, each) for line in expected)]
    assert (unmet, unasked) == ([], [])
    assert len(found) == len(expected)


def test_nothing_secret_is_in_what_is_said(mistakes: Find) -> None:
    text = (
        A_DOZEN
        + """
[auth.echo]
use = "sample_plugins:Gate"
header = "echo"
badge = { env = "BADGE" }

[auth.list]
use = "static-key"
keys = "hunter2-in-clear"

[features.falling]
use = "sample_plugins:Falling"

[features.crashing]
use = "sample_plugins:Crashing"
"""
    )
    environ = {"BADGE": "hunter2-in-clear", "AGENTOPS__AUTH__KEY__KEYS": "hunter2-in-clear"}
    found = mistakes(text, environ, ["auth.badge.bagde=hunter2-in-clear", "server.port=hunter2-in-clear"])
    said = "\n".join(found)
    assert "hunter2" not in said
    assert "my.toml: auth.echo.badge: ******** is too short" in said
    assert "features.falling: Falling failed while it was checked: RuntimeError at sample_plugins.py:" in said
    assert "features.crashing: Crashing could not be made: RuntimeError at sample_plugins.py:" in said


@pytest.mark.parametrize("badge", ["api", "is", "too", "lane", "a", "key", "server"])
def test_a_short_secret_is_masked_where_it_is_shown_and_leaves_the_sentences_whole(mistakes: Find, badge: str) -> None:
    table = '[auth.gate]\nuse = "sample_plugins:Gate"\nheader = "echo"\n'
    rest = '[server]\nport = "{0}"\n[lanes.api]\npath = "/api"\nserve = []\n[lanes.key]\npath = "/api"\nserve = []\n'
    wrong_port, *about_lanes, shown = mistakes(f'{table}badge = "{badge}"\n{rest.format(badge)}')
    unmasked = mistakes(f'{table}badge = "zzz"\n{rest.format("zzz")}')
    assert wrong_port.startswith("my.toml: server.port: '********' is not a whole number from 0 to 65535; a value is ")
    assert about_lanes == unmasked[1:-1]
    assert shown.startswith("my.toml: auth.gate.badge: ******** ")
    assert f" {badge} " not in shown


def test_a_long_value_that_is_a_secret_elsewhere_is_not_shown_in_part(mistakes: Find) -> None:
    secret = "correct horse battery staple " * 4
    (line,) = mistakes(
        f'[server]\nport = "{secret}"\n[auth.key]\nuse = "static-key"\nkeys = ["{secret}x"]\n'
        '[lanes.a]\npath = "/a"\nserve = ["runs"]\nauth = ["key"]\n'
    )
    assert line.startswith("my.toml: server.port: text of 116 characters is not a whole number")
    assert "horse" not in line


@pytest.mark.parametrize("sets", [["server.port.x=1", "server.port=2"], ["server.port=many", "server.port.x=1"]])
def test_a_key_that_is_set_as_a_whole_and_in_part_is_told_once(mistakes: Find, sets: list[str]) -> None:
    (line,) = mistakes('[lanes.a]\npath = "/a"\nserve = ["runs"]\n', sets=sets)
    assert line.startswith("--set: server.port: set as a whole and key by key at once; ")


def test_nothing_is_started_or_made_by_a_deployment_that_is_right(written: Write, tmp_path: Path) -> None:
    path = written('[lanes.a]\npath = "/a"\nserve = ["runs"]\n')
    before = sorted(tmp_path.iterdir())
    load(path, environ={})
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_found(mistakes: Find, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    found = mistakes('[storage]\npath = "closed/a.sqlite"\n[lanes.a]\npath = "/a"\nserve = ["runs"]\n')
    assert found[0].startswith("my.toml: storage.path: the folder ")


def test_a_problem_carries_its_parts_for_programs(written: Write) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(written(A_DOZEN), environ={})
    assert all(problem.source and problem.what and problem.why and problem.remedy for problem in caught.value.problems)
