"""`agentops check`, `init` and `schema`."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import jsonschema
import pytest

from agentops.core.config.files import shipped

if TYPE_CHECKING:
    from tests.cli.running import Folder


async def test_check_says_what_it_is_and_no_secret(folder: Folder) -> None:
    done = await folder.agentops("check", "-c", "deployment.toml", TEST_KEY="open-sesame")
    assert done.code == 0, done.err
    for said in ("deployment.toml", "events.sqlite", "/api: runs; for holders of: key", "Nothing is wrong."):
        assert said in done.out
    assert "sesame" not in done.out + done.err
    assert [path.name for path in folder.path.iterdir()] == ["deployment.toml"]


async def test_check_connect_starts_and_stops(folder: Folder) -> None:
    done = await folder.agentops("check", "-c", "deployment.toml", "--connect")
    assert done.code == 0
    assert "every part started" in done.out
    assert (folder.path / "events.sqlite").exists()
    (folder.path / "events.sqlite").write_text("no database, for sure, " * 50)
    assert (await folder.agentops("check", "-c", "deployment.toml")).code == 0
    broken = await folder.agentops("check", "-c", "deployment.toml", "--connect")
    assert broken.code == 3
    assert "file is not a database" in broken.err
    assert broken.err.count("\n") == 1


async def test_check_prints_every_mistake_on_a_line(folder: Folder) -> None:
    wrong = ["--set", "server.prot=1", "--set", "lanes.api.auth=['lock']", "--set", "bus.use=rabbit"]
    done = await folder.agentops("check", "-c", "deployment.toml", *wrong)
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 3
    for said in ("server.prot", "did you mean 'port'", "'lock'", "'rabbit'"):
        assert said in done.err


async def test_check_looks_at_the_routes_as_well(folder: Folder) -> None:
    limits = ["--set", "limiter.use=memory", "--set", 'lanes.api.limits.routes={"GET /rums"=["1/s"]}']
    done = await folder.agentops("check", "-c", "deployment.toml", *limits)
    assert (done.code, done.out) == (1, "")
    assert "lanes.api.limits.routes: no route is 'GET /rums'; " in done.err
    assert "did you mean 'GET /runs'?" in done.err


@pytest.mark.parametrize(
    ("config", "said"),
    [("missing.toml", "missing.toml"), ("dashbord", "did you mean 'dashboard'"), (".", "Is a directory")],
)
async def test_a_configuration_that_is_not_there(folder: Folder, config: str, said: str) -> None:
    done = await folder.agentops("check", AGENTOPS_CONFIG=config)
    assert done.code == 1
    assert said in done.err
    assert done.err.count("\n") == 1


async def test_which_file_is_taken(folder: Folder) -> None:
    async def taken(*arguments: str) -> str:
        done = await folder.agentops("check", *arguments)
        assert done.code == 0, done.err
        return done.out.splitlines()[0].split()[-1]

    assert await taken() == str(shipped()["dashboard"])
    named = await folder.agentops("check", AGENTOPS_CONFIG="deployment.toml")
    assert named.out.splitlines()[0].split()[-1] == "deployment.toml"
    (folder.path / "deployment.toml").rename(folder.path / "agentops.toml")
    assert await taken() == "agentops.toml"
    assert await taken("--config", "dashboard") == str(shipped()["dashboard"])


@pytest.mark.parametrize("name", sorted(shipped()))
async def test_init_writes_what_ships_and_overwrites_nothing(folder: Folder, name: str) -> None:
    first = await folder.agentops("init", "--from", name)
    assert first.code == 0
    written = folder.path / "agentops.toml"
    assert written.read_bytes() == shipped()[name].read_bytes()
    written.write_text("# mine\n")
    again = await folder.agentops("init", "--from", name)
    assert again.code == 1
    assert "'agentops.toml' is there already" in again.err
    assert written.read_text() == "# mine\n"
    assert (await folder.agentops("init", "--from", name, "--force")).code == 0
    assert written.read_bytes() == shipped()[name].read_bytes()


async def test_init_that_cannot_write(folder: Folder) -> None:
    done = await folder.agentops("init", "no/folder.toml")
    assert (done.code, done.err) == (1, "Error: 'no/folder.toml': no such file or directory\n")
    unknown = await folder.agentops("init", "--from", "dashbord")
    assert unknown.code == 1
    assert "did you mean 'dashboard'?" in unknown.err


async def test_the_schema_fits_what_ships(folder: Folder) -> None:
    done = await folder.agentops("schema")
    assert done.code == 0, done.err
    schema = json.loads(done.out)
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in shipped().values():
        jsonschema.validate(tomllib.loads(path.read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"server": {"prot": 1}}, schema)
