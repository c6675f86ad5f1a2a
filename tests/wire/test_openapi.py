"""The OpenAPI document is true: it is valid, whole, and every example in it does what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from agentops import Kit, Lane, Secret
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.features.runs import Runs
from agentops.plugins.storage.sqlite import Sqlite
from agentops.testing.server import following, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.wire.deployed import Deploy, Deployed

pytestmark = pytest.mark.asyncio(loop_scope="session")

Operation = tuple[str, str, dict[str, Any]]


async def document_of(client: httpx.AsyncClient) -> Any:
    document: Any = (await client.get("/schema/openapi.json")).raise_for_status().json()
    return document


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def assert_as_described(document: dict[str, Any], operation: dict[str, Any], answer: httpx.Response) -> None:
    """The status is one of those that are told of, and the body what is told of it."""
    described = operation["responses"][str(answer.status_code)]
    content = described["content"][answer.headers["content-type"].partition(";")[0]]
    if answer.headers["content-type"].endswith("json"):
        validate(document, content["schema"], answer.json())


def validate(document: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def filled(path: str, operation: dict[str, Any]) -> str:
    """The path as the examples of its parameters make it."""
    values = {part["name"]: part.get("example") for part in operation.get("parameters", ()) if part["in"] == "path"}
    return re.sub(r"{(\w+)}", lambda match: quote(values[match[1]], safe=""), path)


def queries(operation: dict[str, Any]) -> Iterator[str]:
    """No query, each parameter's example by itself, and all of them together: at least two requests."""
    asked = [
        f"{part['name']}={part['example']}"
        for part in operation.get("parameters", ())
        if part["in"] == "query" and "example" in part
    ]
    yield from ["", *asked, "&".join(asked)]


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        for example in content["examples"].values():
            yield media_type, example["value"]


async def test_it_is_served_at_both_addresses(shared: Deployed) -> None:
    client = shared.server.client
    assert (await client.get("/schema")).json() == await document_of(client)
    assert (await client.get("/schema")).headers["content-type"].startswith("application/vnd.oai.openapi+json")


async def test_it_is_valid(shared: Deployed) -> None:
    OpenAPIV31SpecValidator(await document_of(shared.server.client)).validate()


async def test_every_route_is_in_it(shared: Deployed) -> None:
    document = await document_of(shared.server.client)
    served = {
        (method, route.path_format)
        for route in shared.app.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS" and not route.path.startswith("/schema")
    }
    assert {(method, path) for method, path, _ in operations(document)} == served
    assert {path.removeprefix(shared.path) for _, path in served if path != "/healthz"} == {
        "/runs",
        "/runs/{run_id}",
        "/runs/{run_id}/events",
        "/runs/{run_id}/stream",
        "/events",
        "/stream",
    }


async def test_every_example_fits_its_schema(shared: Deployed) -> None:
    document = await document_of(shared.server.client)
    checked = 0
    for _, _, operation in operations(document):
        answers = operation["responses"].values()
        for holder in (operation.get("requestBody", {}), *answers):
            for content in holder.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    validate(document, content["schema"], example["value"])
                    checked += 1
        for part in operation.get("parameters", ()):
            if "example" in part:
                validate(document, part["schema"], part["example"])
                checked += 1
    assert checked > 50


async def test_every_example_is_answered_as_it_says(deploy: Deploy) -> None:
    """In the order of the document's own story: the run is made, written to, read and ended."""
    async with deploy() as up:
        client = up.server.client
        document = await document_of(client)
        seen: dict[tuple[str, str], set[str]] = {}
        for method, path, operation in sorted(operations(document), key=lambda each: each[0] != "POST"):
            statuses = seen.setdefault((method, path), set())
            if "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
                for query in queries(operation):
                    async with following(client, f"{filled(path, operation)}?{query}") as frames:
                        assert_as_described(document, operation, frames.response)
                        statuses.add(str(frames.response.status_code))
                continue
            for query in queries(operation):
                for media_type, body in list(bodies(operation)) or [("", None)]:
                    sent: dict[str, Any] = {} if body is None else {"json": body}
                    if isinstance(body, str):
                        sent = {"content": body, "headers": {"Content-Type": media_type}}
                    answer = await client.request(method, f"{filled(path, operation)}?{query}", **sent)
                    assert answer.is_success, (method, path, query, body, answer.text)
                    assert_as_described(document, operation, answer)
                    statuses.add(str(answer.status_code))
        for method, path, operation in operations(document):
            promised = {status for status in operation["responses"] if status.startswith("2")}
            assert (path, seen[method, path]) == (path, promised)


async def test_every_refusal_is_the_one_it_says(deploy: Deploy) -> None:
    async with deploy("server.max_body_bytes=100", AGENTOPS_API_KEY="the-key") as up:
        client = up.server.client
        document = await document_of(client)
        for method, path, operation in operations(document):
            if path == "/healthz":
                continue
            where = filled(path, operation)
            answers = [await client.request(method, where)]
            client.headers["x-api-key"] = "the-key"
            answers += [await client.request(method, **wrong) for wrong in wrongs(method, operation, where)]
            del client.headers["x-api-key"]
            for answer in answers:
                assert_as_described(document, operation, answer)
            refused = {status for status in operation["responses"] if status >= "400"}
            seen = {str(answer.status_code) for answer in answers}
            assert (method, path, seen) == (method, path, refused - {"403", "503"})


def wrongs(method: str, operation: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """A request for each way in which one to this operation can be wrong."""
    if "404" in operation["responses"]:
        yield {"url": where} | ({"json": {}} if method == "PATCH" else {})
    names = {part["name"] for part in operation.get("parameters", ())}
    if "run_id" in names:
        yield {"url": where.replace("nightly-report", "%0a")}
    for name in names & {"limit", "before", "status", "after"}:
        yield {"url": f"{where}?{name}=-x"}
    if "Last-Event-ID" in names:
        yield {"url": where, "headers": {"Last-Event-ID": "-x"}}
    if "requestBody" in operation:
        yield {"url": where, "content": b"{"}
        yield {"url": where, "content": b" " * 101}
        yield {"url": where, "content": b"x", "headers": {"Content-Type": "text/plain"}}


async def test_the_credential_of_each_lane_is_told(tmp_path: Path) -> None:
    kit = Kit(
        storage=Sqlite(path=str(tmp_path / "agentops.sqlite")),
        auth={"badge": StaticKey(header="x-badge", keys=[Secret("k")]), "unset": StaticKey()},
        lanes=[
            Lane("/guarded", serve=[Runs()], auth=["badge", "unset"], errors="problem"),
            Lane("/open", serve=[Runs()], auth=["unset"], errors="plain"),
        ],
    )
    async with serving(kit) as server:
        document = await document_of(server.client)
    OpenAPIV31SpecValidator(document).validate()
    guarded, opened = document["paths"]["/guarded/runs"]["get"], document["paths"]["/open/runs"]["get"]
    assert document["components"]["securitySchemes"] == {"badge": {"type": "apiKey", "in": "header", "name": "x-badge"}}
    assert guarded["security"] == [{"badge": []}]
    assert "security" not in opened
    assert {"401", "403"} <= guarded["responses"].keys()
    assert not {"401", "403"} & opened["responses"].keys()
    assert list(guarded["responses"]["401"]["content"]) == ["application/problem+json"]
    assert list(opened["responses"]["400"]["content"]) == ["application/json"]


async def test_it_can_be_turned_off(deploy: Deploy) -> None:
    async with deploy("server.schema=false") as up:
        assert (await up.server.client.get("/schema")).status_code == 404
