"""The page of `agentops doctor`: what is well, what is not, and what was asked for wrongly."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from agentops import __version__
from agentops.sql.migrating import HEAD
from agentops.sql.migrations import REVISIONS
from tests.cli.doctor.asking import SECRET, migrated, sql, told

if TYPE_CHECKING:
    from tests.cli.running import Folder


async def test_one_that_is_well(folder: Folder) -> None:
    async with folder.serving() as server:
        done = await folder.agentops("doctor", "-c", "deployment.toml", "--url", server.url, "--key", SECRET)
        as_json = await told(folder, "--url", server.url, AGENTOPS_API_KEY=SECRET)
    assert (done.code, done.err) == (0, "")
    head, _, fine = done.out.splitlines()
    assert head == f"agentops {__version__} · deployment.toml · {server.url}"
    for fact in ("answers in ", f"version {__version__}", "ready", "healthy: storage", f"schema {HEAD}", "MB free"):
        assert fact in fine
    assert SECRET not in done.out
    assert (as_json.code, as_json.said["findings"]) == (0, [])
    assert as_json.said["version"] == __version__
    assert "failing routes" in as_json.said["fine"]


async def test_it_leaves_nothing_behind(folder: Folder) -> None:
    """SQLite makes a log beside a file that is only read, and would leave it to whoever owns the server."""

    def everything() -> dict[str, tuple[bytes, float]]:
        return {each.name: (each.read_bytes(), each.stat().st_mtime) for each in folder.path.iterdir()}

    before = everything()
    assert (await told(folder)).code == 3
    assert everything() == before
    await migrated(folder)
    before = everything()
    assert f"schema {HEAD}" in (await told(folder)).said["fine"]
    assert everything() == before


async def test_mistakes_of_the_configuration_are_all_there_is_to_say(folder: Folder) -> None:
    wrong = ("--set", "server.prot=1", "--set", "lanes.api.auth=['lock']")
    found = await told(folder, *wrong)
    assert found.code == 1
    assert [finding["key"] for finding in found.found("failing")] == ["server.prot", "lanes.api.auth"]
    assert [finding["what"] for finding in found.found("advice")] == ["the server and the database were not asked"]
    routes = ("--set", "limiter.use=memory", "--set", 'lanes.api.limits.routes={"GET /rums"=["1/s"]}')
    done = await folder.agentops("doctor", "-c", "deployment.toml", *routes)
    assert done.code == 1
    assert "no route is 'GET /rums'" in done.out


async def test_neither_a_server_nor_a_database(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = await told(folder, "--set", f"server.port={port}")
    assert found.code == 3
    assert "connection refused" in found.of("server")["what"]
    assert "agentops serve" in found.of("server")["remedy"]
    assert f"there is no database '{folder.path / 'events.sqlite'}'" in found.of("storage")["what"]
    assert len(found.said["findings"]) == 2
    assert not (folder.path / "events.sqlite").exists()
    assert "--url" in (await told(folder)).of("server.port")["remedy"]


async def test_a_page_for_people_is_told_worst_first(folder: Folder) -> None:
    async with folder.serving() as server:
        sql(folder.path / "events.sqlite", f"UPDATE agentops_revision SET version_num = '{REVISIONS[0]}'")
        open_lane = ("--set", "server.host=0.0.0.0", "--set", "lanes.api.auth=[]", "--set", "lanes.api.open=true")
        done = await folder.agentops("doctor", "-c", "deployment.toml", "--url", server.url, *open_lane)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines.index("Failing") < lines.index("Worth knowing") < len(lines) - 1
    at = next(number for number, line in enumerate(lines) if line.startswith("  storage: "))
    assert lines[at] == (
        f"  storage: the database is at schema revision '{REVISIONS[0]}', and this program needs '{HEAD}'"
    )
    assert lines[at + 1].startswith("    why  ")
    assert lines[at + 2].startswith("    do   run `agentops migrate`")
    assert any(line.startswith("  lanes.api.auth: /api is open") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--url", "ftp://x"), "write it like https://ops.example.com"),
        (("--url", f"http://me:{SECRET}@x"), "a name or a password"),
        (("--key", "kéy"), "a header cannot carry"),
    ],
    ids=["url", "password", "key"],
)
async def test_what_cannot_be_asked_for(folder: Folder, arguments: tuple[str, ...], said: str) -> None:
    done = await folder.agentops("doctor", "-c", "deployment.toml", *arguments)
    assert done.code == 2
    assert said in done.err
    assert SECRET not in done.err


@pytest.mark.parametrize(
    ("sets", "key", "weight"),
    [
        (("server.host=0.0.0.0", "lanes.api.open=true", "lanes.api.auth=[]"), "lanes.api.auth", "advice"),
        (("server.host=0.0.0.0", "lanes.api.open=true", "auth.key.keys=[]"), "lanes.api.auth", "risk"),
        (("lanes.api.auth=[]", 'lanes.api.cors=["*"]'), "lanes.api.cors", "advice"),
        (('lanes.api.serve=["runs"]',), "lanes", "advice"),
        (('telemetry={figures={use="log"}}',), "telemetry", "advice"),
    ],
    ids=["open and meant", "open for want of a key", "open to pages", "not watched", "no figures"],
)
async def test_settings_that_may_not_be_meant(folder: Folder, sets: tuple[str, ...], key: str, weight: str) -> None:
    found = await told(folder, *(part for each in sets for part in ("--set", each)))
    assert found.of(key)["weight"] == weight


async def test_an_open_lane_behind_a_proxy_is_reached_by_others(folder: Folder) -> None:
    """The name leads to this machine, as that of a proxy does to whoever stands behind it."""
    sets = ("--set", "lanes.api.auth=[]")
    found = await told(folder, *sets, "--url", f"http://{socket.gethostname()}:1")
    assert found.of("lanes.api.auth")["weight"] == "risk"
    assert not [each for each in (await told(folder, *sets)).said["findings"] if each["key"] == "lanes.api.auth"]
