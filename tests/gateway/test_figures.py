"""What is told of models, credits and usage, and to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentops import Identity
from agentops.core.records import now_ms
from agentops.money.purses import day_named
from tests.gateway.gated import gated

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway.gated import Gated


def let_in_without_management(gate: Gated, name: str) -> None:
    gate.who.known[name] = Identity(name, permissions=frozenset({"llm:call"}), credential=f"key:{name}")


async def test_models_are_listed_for_everybody(tmp_path: Path) -> None:
    async with gated(tmp_path) as gate:
        listed = await gate.server.client.get("/api/llm/models")
        small = {"id": "small", "owned_by": "echo", "object": "model", "created": 0}
        assert listed.json() == {"data": [small], "object": "list"}
        assert (await gate.server.client.get("/api/llm/v1/models/small")).json() == small
        missing = await gate.server.client.get("/api/llm/models/large")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


async def test_without_limits_there_are_no_credits_to_tell_of(tmp_path: Path) -> None:
    async with gated(tmp_path) as gate:
        told = await gate.get("/llm/credits")
        assert (told["credits_remaining"], told["credits_allocated"]) == (None, None)


async def test_credits_go_down_with_each_call_and_the_ledger_says_why(tmp_path: Path) -> None:
    async with gated(tmp_path, credits={"starting": 1_000_000, "tier": "trial"}) as gate:
        before = await gate.get("/llm/credits")
        assert (before["credits_remaining"], before["tier"]) == (1_000_000, "trial")
        made = [(await gate.chat(max_tokens=5)).json()["_metadata"] for _ in range(2)]
        left = 1_000_000 - sum(each["cost_incurred"] for each in made)
        assert made[-1]["credits_remaining"] == left
        after = await gate.get("/llm/credits")
        assert (after["credits_remaining"], after["credits_held"]) == (left, 0)
        entries = (await gate.get("/llm/credits/history"))["entries"]
        assert [(entry["kind"], entry["call"]) for entry in entries] == [
            ("call", made[1]["transaction_id"]),
            ("call", made[0]["transaction_id"]),
            ("start", None),
        ]
        assert entries[0]["after"] == left
        assert all(entry["before"] + entry["amount"] == entry["after"] for entry in entries)


async def test_the_ledger_comes_in_pages(tmp_path: Path) -> None:
    async with gated(tmp_path, credits={"starting": 1_000_000}) as gate:
        for _ in range(4):
            await gate.chat(max_tokens=5)
        page, seen = "/api/llm/credits/history?limit=2", []
        while page:
            answer = await gate.server.client.get(page, headers={"Authorization": "Bearer alice"})
            seen += [int(entry["id"]) for entry in answer.json()["entries"]]
            page = answer.links.get("next", {}).get("url", "")
        assert seen == sorted(seen, reverse=True)
        assert len(seen) == 5


async def test_whoever_has_no_credit_is_told_so(tmp_path: Path) -> None:
    async with gated(tmp_path, credits={}) as gate:
        refused = await gate.chat(max_tokens=5)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
        assert "credit" in refused.json()["error"]["message"]
        assert refused.headers["x-should-retry"] == "false"


async def test_usage_is_ones_own_unless_one_may_see_everybodys(tmp_path: Path) -> None:
    async with gated(tmp_path) as gate:
        let_in_without_management(gate, "bob")
        for name in ("alice", "alice", "bob"):
            await gate.chat(name, max_tokens=5)
        own = (await gate.get("/llm/usage?by=user", "bob"))["rows"]
        assert [(row["user"], row["calls"]) for row in own] == [("bob", 1)]
        assert (await gate.get("/llm/usage?by=user&user=alice", "bob"))["rows"] == own
        assert (await gate.get("/llm/usage?by=user,user", "bob"))["rows"] == own
        everybody = (await gate.get("/llm/usage?by=user"))["rows"]
        assert {row["user"]: row["calls"] for row in everybody} == {"alice": 2, "bob": 1}


async def test_usage_is_added_up_by_what_is_asked_for(tmp_path: Path) -> None:
    async with gated(tmp_path) as gate:
        costs = [(await gate.chat(max_tokens=5)).json()["_metadata"]["cost_incurred"] for _ in range(3)]
        (row,) = (await gate.get("/llm/usage?by=day,key,user,model,provider,project"))["rows"]
        named = {name: row[name] for name in ("key", "user", "model", "provider", "project", "day")}
        assert named == {
            "key": "key:alice",
            "user": "alice",
            "model": "small",
            "provider": "echo",
            "project": "default",
            "day": day_named(now_ms()),
        }
        assert (row["calls"], row["failed"], row["cost"]) == (3, 0, sum(costs))
        assert (await gate.get("/llm/usage?until=2020-01-01&since=2019-01-01"))["rows"] == []


async def test_usage_is_a_table_too_and_no_cell_of_it_a_formula(tmp_path: Path) -> None:
    async with gated(tmp_path) as gate:
        gate.let_in("=cmd|'/c calc'!A1")
        await gate.chat("=cmd|'/c calc'!A1", max_tokens=5)
        answer = await gate.server.client.get(
            "/api/llm/usage?by=user,model&format=csv", headers={"Authorization": "Bearer alice"}
        )
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        head, row = answer.text.splitlines()
        assert head == "user,model,calls,failed,input,cached,written,output,cost"
        assert row.startswith("'=cmd|'/c calc'!A1,small,1,0,")


@pytest.mark.parametrize(("query", "param"), [("by=hour", "by"), ("since=yesterday", "since"), ("until=7", "until")])
async def test_what_is_asked_wrongly_is_told(tmp_path: Path, query: str, param: str) -> None:
    async with gated(tmp_path) as gate:
        refused = await gate.server.client.get(f"/api/llm/usage?{query}", headers={"Authorization": "Bearer alice"})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
