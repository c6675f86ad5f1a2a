"""`agentops export` and `import`: nothing is lost, nothing is doubled, and both go on where they were interrupted."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.ports.storage import Append, PageQuery
from agentops.core.records import NewEvent
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.storage.sqlite import Sqlite
from tests.cli.running import needs_a_full_disk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agentops.core.records import Run
    from tests.cli.running import Folder

HERE = ("-c", "deployment.toml")
THERE = (*HERE, "--set", "storage.path=there.sqlite")
RUNS = [("default", "one"), ("default", "two/✓"), ("other", "one")]


def body(number: int, payload: str = '{"big":12345678901234567890, "a":1}') -> str:
    return f'{{"ts":{number},"type":"n","level":"info","agentId":null,"taskId":"t","payload":{payload}}}'


async def fill(path: Path, each: int) -> None:
    """Three runs in two projects, their events in turn, some with keys of their own."""
    storage = Sqlite(path=str(path))
    async with storage.life(Rungs(signals=Signals())):
        for project, name in RUNS:
            await storage.create_run(project, name, f"Title of {name}", "running")
        for number in range(each):
            event = NewEvent(body(number), f"key-{number}" if number % 3 == 0 else None)
            await storage.append([Append(project, name, [event]) for project, name in RUNS])
        await storage.update_run("default", "one", None, "completed")
    database = sqlite3.connect(path)
    database.execute("UPDATE runs SET started_at = 1000 + pk")
    database.execute("UPDATE runs SET ended_at = 9000 WHERE ended_at IS NOT NULL")
    database.commit()
    database.close()


async def content(path: Path) -> dict[tuple[str, str], tuple[Run | None, Sequence[str]]]:
    storage = Sqlite(path=str(path))
    async with storage.life(Rungs(signals=Signals())):
        return {
            (project, name): (
                await storage.get_run(project, name),
                [event.body for event in (await storage.page(PageQuery(project, name, 0, 10_000, 10**9))).events],
            )
            for project, name in RUNS
        }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_an_empty_database_is_filled_with_the_same(folder: Folder) -> None:
    await fill(folder.path / "events.sqlite", 7)
    out = await folder.agentops("export", "x.ndjson", *HERE)
    assert (out.code, out.err) == (0, "Exported 21 events of 3 runs.\n")
    back = await folder.agentops("import", "x.ndjson", *THERE)
    assert (back.code, back.err) == (0, "Imported 21 events and 3 new runs.\n")
    assert await content(folder.path / "there.sqlite") == await content(folder.path / "events.sqlite")


async def test_the_same_file_again_changes_nothing(folder: Folder) -> None:
    await fill(folder.path / "events.sqlite", 7)
    before = await content(folder.path / "events.sqlite")
    await folder.agentops("export", "x.ndjson", *HERE)
    await folder.agentops("import", "x.ndjson", *THERE)
    for place in (THERE, HERE):
        again = await folder.agentops("import", "x.ndjson", *place)
        assert (again.code, again.err) == (0, "Imported 0 events and 0 new runs; 21 were there already.\n")
    assert await content(folder.path / "there.sqlite") == before
    assert await content(folder.path / "events.sqlite") == before


async def test_a_key_of_a_client_goes_along(folder: Folder) -> None:
    await fill(folder.path / "events.sqlite", 4)
    await folder.agentops("export", "x.ndjson", *HERE)
    keys = [line.get("key") for line in lines(folder.path / "x.ndjson") if "event" in line]
    assert keys == ["key-0", None, None, "key-3"] * 3
    await folder.agentops("import", "x.ndjson", *THERE)
    storage = Sqlite(path=str(folder.path / "there.sqlite"))
    async with storage.life(Rungs(signals=Signals())):
        (outcome,) = await storage.append([Append("default", "one", [NewEvent(body(0), "key-0")])])
    assert not isinstance(outcome, Exception)
    assert list(outcome.repeats) == [0]


async def test_two_databases_meet_in_one(folder: Folder) -> None:
    """Both gave the same ids to different events of a run of the same name."""
    for name, payload in (("a", "1"), ("b", "2")):
        storage = Sqlite(path=str(folder.path / f"{name}.sqlite"))
        async with storage.life(Rungs(signals=Signals())):
            await storage.append([Append("default", "one", [NewEvent(body(0, payload))])])
        await folder.agentops("export", f"{name}.ndjson", *HERE, "--set", f"storage.path={name}.sqlite")
        await folder.agentops("import", f"{name}.ndjson", *THERE)
    _, bodies = (await content(folder.path / "there.sqlite"))["default", "one"]
    assert bodies == [body(0, "1"), body(0, "2")]


async def test_one_run_or_one_project(folder: Folder) -> None:
    await fill(folder.path / "events.sqlite", 2)

    async def exported(*arguments: str) -> list[tuple[str, str]]:
        done = await folder.agentops("export", *HERE, *arguments)
        assert done.code == 0, done.err
        found = [json.loads(line) for line in done.out.splitlines()]
        return [(line["project"], line["run"]["id"]) for line in found if "run" in line]

    assert sorted(await exported("-")) == sorted(RUNS)
    assert await exported("--run", "two/✓") == [("default", "two/✓")]
    assert await exported("--project", "other") == [("other", "one")]
    nobody = await folder.agentops("export", *HERE, "--run", "three")
    assert (nobody.code, nobody.err) == (1, "Error: no run is called 'three' in project 'default'\n")
    nowhere = await folder.agentops("export", *HERE, "--project", "third")
    assert (nowhere.code, nowhere.err) == (1, "Error: no project is called 'third'; there are: default, other\n")


async def test_an_export_goes_on_behind_its_last_whole_line(folder: Folder) -> None:
    await fill(folder.path / "events.sqlite", 5)
    await folder.agentops("export", "whole.ndjson", *HERE)
    whole = (folder.path / "whole.ndjson").read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in (ends[0], ends[2] + 10, ends[5], ends[7] - 1, len(whole)):
        (folder.path / "part.ndjson").write_bytes(whole[:cut])
        done = await folder.agentops("export", "part.ndjson", "--resume", *HERE)
        assert done.code == 0, done.err
        assert (folder.path / "part.ndjson").read_bytes() == whole


async def test_an_import_that_was_killed_is_started_again(folder: Folder) -> None:
    path = folder.path / "events.sqlite"
    storage = Sqlite(path=str(path))
    async with storage.life(Rungs(signals=Signals())):
        await storage.append([Append("default", "one", [NewEvent(body(number)) for number in range(5000)])])
    await folder.agentops("export", "x.ndjson", *HERE)
    text = (folder.path / "x.ndjson").read_bytes()
    async with folder.running("import", "-", *THERE) as importing:
        importing.process.stdin.write(text[: len(text) * 9 // 10])
        await asyncio.wait_for(stored(folder.path / "there.sqlite", 1000), 30)
        await importing.signalled(signal.SIGKILL)
    done = await folder.agentops("import", "x.ndjson", *THERE)
    assert done.code == 0
    assert "were there already" in done.err
    there, here = await content(folder.path / "there.sqlite"), await content(path)
    assert there["default", "one"][1] == here["default", "one"][1]


async def stored(path: Path, at_least: int) -> None:
    """Return once so many events can be seen from outside."""
    while count(path) < at_least:  # noqa: ASYNC110 - it is another process that commits them
        await asyncio.sleep(0.05)


def count(path: Path) -> int:
    if not path.exists():
        return 0
    database = sqlite3.connect(path)
    try:
        return int(database.execute("SELECT count(*) FROM events").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        database.close()


async def test_ctrl_c_ends_an_import_that_waits_for_input(folder: Folder) -> None:
    async with folder.running("import", "-", *THERE) as importing:
        many = [run_line("one"), *(event_line(str(number)) for number in range(1, 2500))]
        importing.process.stdin.write(b"".join(many))
        await asyncio.wait_for(stored(folder.path / "there.sqlite", 1), 30)
        importing.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(importing.process.wait(), 5) == 130
        assert await importing.process.stderr.read() == b""


async def test_it_all_works_while_a_server_serves(folder: Folder) -> None:
    await fill(folder.path / "events.sqlite", 3)
    async with folder.serving("--set", "events.poll_seconds=0.05") as server:
        assert (await folder.agentops("export", "x.ndjson", *HERE)).code == 0
        moved = (folder.path / "x.ndjson").read_text().replace('"id":"one"', '"id":"new"').replace(':"one"', ':"new"')
        async with folder.running("tail", "new", "-f", "--json", "--url", server.api) as tail:
            await tail.note()
            assert (await folder.fed(moved.encode(), "import", "-", *HERE)).code == 0
            assert [json.loads(await tail.line())["ts"] for _ in range(3)] == [0, 1, 2]


def run_line(name: str) -> bytes:
    run = {"id": name, "title": name, "status": "running", "startedAt": 5, "endedAt": None, "eventCount": 0}
    return json.dumps({"project": "default", "run": run}).encode() + b"\n"


def event_line(number: str, **changed: object) -> bytes:
    event = {"id": number, "runId": "one", "ts": 1, "type": "n", "level": "info", "agentId": None, "taskId": None}
    return json.dumps({"project": "default", "event": event | {"payload": {}} | changed}).encode() + b"\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"not json\n", "malformed"),
        (b'{"hello": 1}\n', "`hello`"),
        (b'{"project": "default"}\n', "it is neither a run nor an event"),
        (b'{"project": "default", "run": {"id": "a\\nb"}}\n', "$.run.id"),
        (event_line("x"), "$.event.id"),
        (event_line("7", ts="now"), "$.event.ts"),
        (event_line("7", type=""), "$.event.type"),
        (event_line("7").replace(b"{}", b'"\xff"'), "it is not UTF-8"),
        (event_line("7").replace(b"{}", b"[" * 100_000), "it is nested too deeply"),
        (event_line("7")[:-20], "agentops export --resume"),
    ],
    ids=["text", "object", "neither", "run id", "event id", "time", "type", "bytes", "depth", "cut off"],
)
async def test_a_wrong_line_is_named(folder: Folder, text: bytes, why: str) -> None:
    (folder.path / "x.ndjson").write_bytes(run_line("one") + b"\n" + text)
    done = await folder.agentops("import", "x.ndjson", *THERE)
    assert done.code == 1
    assert done.err.startswith("Error: line 3 of 'x.ndjson' cannot be imported: "), done.err
    assert why in done.err
    assert done.err.count("\n") == 1


async def test_a_line_break_in_a_payload_cannot_break_a_frame(folder: Folder) -> None:
    (folder.path / "x.ndjson").write_bytes(event_line("7").replace(b"{}", b'{"a":\r1}'))
    assert (await folder.agentops("import", "x.ndjson", *THERE)).code == 0
    _, bodies = (await content(folder.path / "there.sqlite"))["default", "one"]
    assert len(bodies) == 1
    assert "\r" not in bodies[0]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["export", "there.ndjson"], 1, "'there.ndjson' is there already"),
        (["export", "no/folder.ndjson"], 1, "'no/folder.ndjson': no such file or directory"),
        (["export", "there.ndjson", "--resume"], 1, "'there.ndjson' is no export"),
        (["export", "-", "--resume"], 2, "--resume needs a FILE"),
        (["export", ".", "--resume"], 2, "is a directory"),
        (["import", "missing.ndjson"], 1, "'missing.ndjson': no such file or directory"),
        (["import"], 2, "Missing argument 'FILE'"),
        (["export", "x.ndjson", "--set", "storage.path=none.sqlite"], 3, "none.sqlite"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else None,
)
async def test_wrong_usage_is_one_sentence(folder: Folder, arguments: list[str], code: int, said: str) -> None:
    (folder.path / "there.ndjson").write_text("what I always wanted to keep\n")
    await fill(folder.path / "events.sqlite", 1)
    done = await folder.agentops(*arguments, *HERE)
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err
    assert (folder.path / "there.ndjson").read_text() == "what I always wanted to keep\n"
    assert not (folder.path / "none.sqlite").exists()


@needs_a_full_disk
async def test_a_full_disk_behind_standard_output_is_one_sentence(folder: Folder) -> None:
    await fill(folder.path / "events.sqlite", 1)
    assert folder.on_a_full_disk("export", *HERE) == (3, "Error: no space left on device\n")


@needs_a_full_disk
async def test_a_full_disk_is_one_sentence(folder: Folder) -> None:
    await fill(folder.path / "events.sqlite", 1)
    (folder.path / "full.ndjson").symlink_to("/dev/full")
    done = await folder.agentops("export", "full.ndjson", "--resume", *HERE)
    assert (done.code, done.err) == (3, "Error: 'full.ndjson': no space left on device\n")
    assert (folder.path / "full.ndjson").exists(), "--resume goes on with the part that is there"


async def test_from_one_kind_of_database_to_another_and_back(folder: Folder, fresh_postgres_url: str) -> None:
    postgres = {"AGENTOPS__STORAGE__USE": "postgres", "AGENTOPS__STORAGE__URL": fresh_postgres_url}
    await fill(folder.path / "events.sqlite", 7)
    await folder.agentops("export", "x.ndjson", *HERE)
    for already in ("", "; 21 were there already"):
        done = await folder.agentops("import", "x.ndjson", *HERE, **postgres)
        assert (done.code, done.err) == (
            0,
            f"Imported {0 if already else 21} events and {0 if already else 3} new runs{already}.\n",
        )
    assert (await folder.agentops("export", "y.ndjson", *HERE, **postgres)).code == 0
    assert (await folder.agentops("import", "y.ndjson", *THERE)).code == 0
    assert await content(folder.path / "there.sqlite") == await content(folder.path / "events.sqlite")
