"""What is promised of runs: made once, changed, found, and listed newest first."""

from __future__ import annotations

import pytest

from agentops.core.errors import BadRequest
from agentops.core.ports.storage import RunQuery
from agentops.core.records import Run, Status, now_ms
from agentops.testing._storage.base import AnyStorage, StorageTests, an_append, stored


async def made(storage: AnyStorage, name: str, title: str = "title", status: Status = "running") -> Run:
    run, new = await storage.create_run("p", name, title, status)
    assert new
    return run


async def names(storage: AnyStorage, query: RunQuery, project: str = "p") -> list[str]:
    return [run.id for run in await storage.list_runs(project, query)]


class RunContract(StorageTests):
    async def test_a_run_is_made_once(self, storage: AnyStorage) -> None:
        before = now_ms()
        run = await made(storage, "run", "first")
        assert before <= run.started_at <= now_ms()
        assert run == Run(
            id="run", title="first", status="running", started_at=run.started_at, ended_at=None, event_count=0
        )
        assert await storage.create_run("p", "run", "second", "error") == (run, False)
        assert await storage.get_run("p", "run") == run

    async def test_a_run_that_is_made_ended_has_an_end(self, storage: AnyStorage) -> None:
        run = await made(storage, "run", status="completed")
        assert run.ended_at == run.started_at

    async def test_a_run_made_first_takes_events(self, storage: AnyStorage) -> None:
        run = await made(storage, "run", "mine")
        await stored(storage, an_append("run", "a", "b"))
        found = await storage.get_run("p", "run")
        assert found is not None
        assert (found.title, found.started_at, found.event_count) == ("mine", run.started_at, 2)

    @pytest.mark.parametrize(("run", "title"), [("nul\0", "t"), ("half\ud800", "t"), ("run", "nul\0")])
    async def test_a_name_or_title_that_is_no_text_is_refused(self, storage: AnyStorage, run: str, title: str) -> None:
        with pytest.raises(BadRequest):
            await storage.create_run("p", run, title, "running")
        assert list(await storage.list_runs("p", RunQuery(10))) == []

    async def test_an_unknown_run_is_not_there(self, storage: AnyStorage) -> None:
        await made(storage, "run")
        assert await storage.get_run("p", "other") is None
        assert await storage.get_run("q", "run") is None
        assert await storage.get_run("p", "run\0\ud800") is None
        assert await storage.update_run("p", "other", "t", "error") is None
        assert await storage.update_run("q", "run", "t", "error") is None
        assert await storage.update_run("p", "run\0", "t", "error") is None

    async def test_title_and_status_change_apart(self, storage: AnyStorage) -> None:
        run = await made(storage, "run", "old")
        renamed = await storage.update_run("p", "run", "new", None)
        assert renamed is not None
        assert (renamed.title, renamed.status, renamed.started_at) == ("new", "running", run.started_at)
        failed = await storage.update_run("p", "run", None, "error")
        assert failed is not None
        assert (failed.title, failed.status) == ("new", "error")
        assert await storage.update_run("p", "run", None, None) == failed == await storage.get_run("p", "run")

    async def test_the_end_comes_with_leaving_running_and_goes_with_coming_back(self, storage: AnyStorage) -> None:
        await made(storage, "run")
        before = now_ms()
        ended = await storage.update_run("p", "run", None, "completed")
        failed = await storage.update_run("p", "run", None, "error")
        again = await storage.update_run("p", "run", None, "running")
        assert ended is not None
        assert failed is not None
        assert again is not None
        assert ended.ended_at is not None
        assert before <= ended.ended_at <= now_ms()
        assert failed.ended_at == ended.ended_at
        assert again.ended_at is None

    async def test_the_newest_come_first_and_the_limit_holds(self, storage: AnyStorage) -> None:
        for number in range(6):
            await made(storage, f"run-{number}")
        await storage.create_run("q", "theirs", "title", "running")
        assert await names(storage, RunQuery(10)) == [f"run-{number}" for number in reversed(range(6))]
        assert await names(storage, RunQuery(2)) == ["run-5", "run-4"]
        assert await names(storage, RunQuery(10), "q") == ["theirs"]
        assert await names(storage, RunQuery(10), "unknown") == []

    async def test_lists_join_at_the_last_run_without_gap_or_repeat(self, storage: AnyStorage) -> None:
        for number in range(7):
            await made(storage, f"run-{number}")
        seen: list[str] = []
        while part := await names(storage, RunQuery(3, before=seen[-1] if seen else None)):
            seen.extend(part)
        assert seen == [f"run-{number}" for number in reversed(range(7))]

    async def test_lists_join_among_runs_of_one_moment(self, storage: AnyStorage) -> None:
        await stored(storage, *(an_append(f"run-{number}") for number in range(20)))
        seen: list[str] = []
        while part := await names(storage, RunQuery(3, before=seen[-1] if seen else None)):
            seen.extend(part)
        assert seen == await names(storage, RunQuery(100))
        assert len(set(seen)) == 20

    async def test_before_may_be_a_time(self, storage: AnyStorage) -> None:
        run = await made(storage, "run")
        assert await names(storage, RunQuery(10, before=str(run.started_at))) == []
        assert await names(storage, RunQuery(10, before=str(run.started_at + 1))) == ["run"]

    async def test_before_is_a_run_where_there_is_one_of_that_name(self, storage: AnyStorage) -> None:
        await made(storage, "older")
        await made(storage, "5")
        await made(storage, "newer")
        assert await names(storage, RunQuery(10, before="5")) == ["older"]

    @pytest.mark.parametrize("before", ["unknown", "-1", "", "\0", "half\ud800", "1.5", "9" * 30])
    async def test_before_that_is_neither_is_refused(self, storage: AnyStorage, before: str) -> None:
        with pytest.raises(BadRequest) as refused:
            await storage.list_runs("p", RunQuery(10, before=before))
        assert refused.value.code == "invalid_cursor"

    async def test_status_and_text_narrow_the_list(self, storage: AnyStorage) -> None:
        await made(storage, "one", "Sort the Mail")
        await made(storage, "two-MAIL", "other", "error")
        await made(storage, "three", "unrelated", "error")
        assert await names(storage, RunQuery(10, status="error")) == ["three", "two-MAIL"]
        assert await names(storage, RunQuery(10, text="mail")) == ["two-MAIL", "one"]
        assert await names(storage, RunQuery(10, status="error", text="mAiL")) == ["two-MAIL"]
        assert await names(storage, RunQuery(1, text="mail")) == ["two-MAIL"]
        assert await names(storage, RunQuery(10, text="nul\0")) == []

    @pytest.mark.parametrize("text", ["%", "_", "\\", "/", "'", '"'])
    async def test_text_is_taken_as_it_stands(self, storage: AnyStorage, text: str) -> None:
        await made(storage, "plain", "plain")
        await made(storage, "marked", f"a{text}b")
        assert await names(storage, RunQuery(10, text=text)) == ["marked"]
