"""The dashboard shows what there is, and there is what it shows."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from contextlib import ExitStack, suppress
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

import agentops
from agentops import EventSettings, Kit, Lane, Secret
from agentops.core.limits import LimitSettings
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.features.gateway import Gateway
from agentops.plugins.features.operations import Operations
from agentops.plugins.features.runs import Runs
from agentops.plugins.features.webhooks import Webhooks
from agentops.plugins.limiter.redis import Redis
from agentops.plugins.models.fixture import Fixture
from agentops.plugins.retry.backoff import Backoff
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.telemetry.otlp import Otlp
from agentops.plugins.telemetry.prometheus import Prometheus
from agentops.testing.server import following, serving
from tests.core.parts import until
from tests.docs.grafana import DASHBOARD, PANELS, QUERIES, VARIABLES, Matcher, Query, read_query
from tests.durability.own_postgres import own_postgres_in
from tests.durability.own_redis import OwnRedis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from agentops.testing.server import LiveServer
    from tests.conftest import PostgresServer

KEY: Final = {"x-api-key": "an operator's key"}

ADDED_BY_PROMETHEUS: Final = {"job", "instance"}
KINDS: Final = ("count", "observe", "gauge")

GATEWAY: Final = {
    "models": {"small": {"targets": [{"provider": "echo"}]}},
    "prices": [{"provider": "echo", "model": "small", "input": 1_000_000, "output": 1_000_000}],
    "cache": {"seconds": 60},
    "bytes_in_flight": 1,
}
ASKED: Final = {"model": "small", "temperature": 0, "messages": [{"role": "user", "content": "Hello"}]}

Labels = dict[str, str]


class Scraped(NamedTuple):
    """What a server exposes: the labels of each sample, by its name, and the names that belong together."""

    samples: dict[str, list[Labels]]
    families: list[set[str]]


def read_figures(text: str) -> Scraped:
    samples: dict[str, list[Labels]] = {}
    families: list[set[str]] = []
    for family in text_string_to_metric_families(text):
        families.append({sample.name for sample in family.samples})
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(dict(sample.labels))
    return Scraped(samples, families)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraped(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, server_folder: Path
) -> AsyncIterator[Scraped]:
    """Of a server to which everything happened that is counted."""
    folder = tmp_path_factory.mktemp("figures")
    redis = OwnRedis(folder)
    limits = LimitSettings(caller=["1000/m"], routes={"GET /runs": ["3/h"]})
    places = ExitStack()
    primary = places.enter_context(own_postgres_in(server_folder / "figures"))
    standby = places.enter_context(primary.followed(server_folder / "figures-too"))
    kit = Kit(
        storage=Postgres(url=Secret(primary.url), replica_url=Secret(standby.url)),
        limiter=Redis(url=Secret(redis.url), timeout_seconds=0.5),
        retry=Backoff(attempts=2, base_seconds=0.001, most_seconds=0.001, breaker_faults=2, breaker_seconds=0.05),
        auth={"key": StaticKey(keys=[Secret(KEY["x-api-key"])], permissions=["*"])},
        telemetry={
            "figures": Prometheus(),
            "away": Otlp(endpoint="http://127.0.0.1:1", sample=1, spans_most=1, interval_seconds=0.05),
        },
        models={"echo": Fixture()},
        events=EventSettings(queue_events=1),
        lanes=[
            Lane(
                "/api",
                serve=[Runs(), Operations(), Webhooks(allow=["127.0.0.1/32"]), Gateway(**GATEWAY)],
                auth=["key"],
                limits=limits,
                name="api",
            )
        ],
    )
    with places:
        async with serving(kit) as server:
            with redis.running():
                await until(redis.answers)
                await everything_happens_to(server)
            await calls_out(kit)
            yield read_figures(await exposed(server))


async def exposed(server: LiveServer) -> str:
    """Asked until all is there, for some is told in the background; what never comes is for the tests to name."""
    told = families_told()
    text = ""
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while any(not family & read_figures(text).samples.keys() for family in told):
                answer = await server.client.get("/api/metrics", headers=KEY)
                assert answer.status_code == 200
                text = answer.text
    return text


async def everything_happens_to(server: LiveServer) -> None:
    ask = server.client
    for key in ({}, {"x-api-key": "wrong"}, *[KEY] * 4):
        await ask.get("/api/runs", headers=key)
    assert (await ask.get("/api/runs", headers=KEY)).status_code == 429
    async with following(ask, "/api/runs/r/stream", **KEY):
        for kind in ("begun", "run.completed"):
            assert (await ask.post("/api/runs/r/events", json={"type": kind}, headers=KEY)).status_code == 201
    many = [ask.post(f"/api/runs/r{number}/events", json={"type": "x"}, headers=KEY) for number in range(20)]
    assert 503 in {answer.status_code for answer in await asyncio.gather(*many)}
    assert (await ask.get("/api/health")).status_code == 200
    await models_are_called(server)
    wanted = {"url": f"{server.url}/healthz", "events": ["run.failed"]}
    made = await ask.post("/api/webhooks", json=wanted, headers=KEY)
    assert made.status_code == 201, made.text
    assert (await ask.post(f"/api/webhooks/{made.json()['id']}/test", headers=KEY)).status_code == 200


async def models_are_called(server: LiveServer) -> None:
    """Once for an answer, once for the same from the cache, and at once for what is not held in memory."""
    path = "/api/llm/chat/completions"
    answers = [await server.client.post(path, json=ASKED, headers=KEY) for _ in range(2)]
    assert [answer.json()["_metadata"]["cache_hit"] for answer in answers] == [False, True]
    many = [server.client.post(path, json=ASKED, headers=KEY) for _ in range(20)]
    assert 503 in {answer.status_code for answer in await asyncio.gather(*many)}


async def calls_out(kit: Kit) -> None:
    async def fail() -> None:
        raise TimeoutError

    async def hold() -> None:
        """The next one."""

    with pytest.raises(TimeoutError):
        await kit.retry("draft").call(fail, None)
    await asyncio.sleep(0.06)  # the breaker closes by the clock
    await kit.retry("draft").call(hold, None)


@pytest.mark.parametrize("query", QUERIES, ids=[query.where for query in QUERIES])
def test_every_metric_and_label_of_a_query_exists(query: Query, scraped: Scraped) -> None:
    assert query.metrics
    labels = set(ADDED_BY_PROMETHEUS)
    for metric, matchers in query.metrics:
        assert metric in scraped.samples, f"{query.where}: nothing exposes {metric}"
        own = {name for sample in scraped.samples[metric] for name in sample} | ADDED_BY_PROMETHEUS
        labels |= own
        assert {matcher.label for matcher in matchers} <= own, metric
        fixed = [matcher for matcher in matchers if matcher.is_fixed]
        assert any(
            all(matcher.takes(sample[matcher.label]) for matcher in fixed) for sample in scraped.samples[metric]
        ), f"{query.where}: no sample of {metric} is like {fixed}"
    assert query.groups <= labels
    assert query.shown <= query.groups


def test_every_metric_that_is_exposed_is_in_the_dashboard(scraped: Scraped) -> None:
    shown = {metric for query in QUERIES for metric, _ in query.metrics}
    assert [sorted(family) for family in scraped.families if not family & shown] == []


def test_everything_that_is_told_was_told_here(scraped: Scraped) -> None:
    """Else a figure could be missing in the dashboard, and no test would see it."""
    assert [sorted(family) for family in families_told() if not family & scraped.samples.keys()] == []


def families_told() -> list[set[str]]:
    """What each figure that the package names is called when it is exposed."""
    sink = Prometheus()
    for kind, name in told_in_the_source():
        getattr(sink, kind)(name, 1, {})
    return read_figures(sink.exposition()[0].decode()).families


def told_in_the_source() -> Iterator[tuple[str, str]]:
    """Each figure that is told to `signals` somewhere, and how."""
    root = Path(agentops.__file__).parent
    texts = [path.read_text("utf-8") for path in root.rglob("*.py") if "testing" not in path.parts]
    trees = [ast.parse(text) for text in texts if "signals" in text.lower()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    constants = dict(constant for node in nodes for constant in constants_in(node))
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=kind), args=[first, *_]) if kind in KINDS:
                if re.fullmatch(r"(.*\.)?_?signals", ast.unparse(owner)):
                    name = constants.get(first.id) if isinstance(first, ast.Name) else getattr(first, "value", None)
                    assert isinstance(name, str), f"nobody knows the name of {ast.unparse(node)}"
                    yield kind, name


def constants_in(node: ast.AST) -> Iterator[tuple[str, object]]:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)):
            yield name, value


def test_figures_are_found_in_the_source() -> None:
    found = set(told_in_the_source())
    assert {("observe", "http.request.seconds"), ("gauge", "streams.open"), ("count", "limits.refused")} <= found


def test_a_query_is_read_as_it_is_meant() -> None:
    query = read_query(
        "x", 'topk(2, sum by (le, a) (rate(m_bucket{a=~"b|}",c!="$d"}[$__rate_interval])) / n_total)', "{{a}}"
    )
    assert query.metrics == [("m_bucket", [Matcher("a", "=~", "b|}"), Matcher("c", "!=", "$d")]), ("n_total", [])]
    assert (query.groups, query.shown) == ({"le", "a"}, {"a"})
    assert read_query("x", 'label_values(m{a="b"}, c)').metrics == [("m", [Matcher("a", "=", "b")])]
    assert [name for name, _ in read_query("x", "sum(rate(agentops_mistyped))").metrics] == ["agentops_mistyped"]


def test_grafana_can_import_it() -> None:
    """By what its format asks for since version 10: no id of another Grafana, and each panel complete."""
    assert DASHBOARD["id"] is None
    assert DASHBOARD["schemaVersion"] >= 38
    assert 1 <= len(DASHBOARD["uid"]) <= 40
    numbers = [panel["id"] for panel in PANELS]
    assert len(set(numbers)) == len(numbers)
    for panel in PANELS:
        assert panel["type"] in {"row", "timeseries", "stat", "state-timeline"}
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["fieldConfig"]["defaults"]["unit"]
            references = [target["refId"] for target in panel["targets"]]
            assert 1 <= len(set(references)) == len(references)


def test_no_panel_lies_over_another() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    for place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        assert place["h"] > 0
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_every_variable_is_there_and_used() -> None:
    text = json.dumps(PANELS) + json.dumps(DASHBOARD["templating"])
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval", "__all"}
    assert used == VARIABLES.keys()
    assert VARIABLES["datasource"]["type"] == "datasource"
