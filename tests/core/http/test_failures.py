"""Every lane says no in its own style, and none is harmed by another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import pytest_asyncio

from agentops import ConfigurationError, Feature, Kit, Lane, NoSettings, ServerSettings
from agentops.core.config.settings import ErrorStyle
from agentops.core.problem import Problem
from agentops.plugins.features.runs import Runs
from agentops.testing.server import serving
from tests.core.parts import Badge, Kept, Probe, storage_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.asyncio(loop_scope="module")

STYLES: tuple[ErrorStyle, ...] = ("plain", "detail", "error.v1", "problem", "openai", "anthropic")
OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
ANTHROPIC_TYPES = OPENAI_TYPES | {413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 503: "api_error"}


@pytest.fixture(scope="module")
def told() -> Kept:
    return Kept()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory, told: Kept) -> AsyncIterator[httpx.AsyncClient]:
    """A lane of each style, all alike but for that, and one that is open."""
    kit = Kit(
        storage=storage_in(tmp_path_factory.mktemp("lanes")),
        telemetry={"kept": told},
        auth={"badge": Badge()},
        lanes=[
            *(Lane(f"/{style}", serve=[Probe(), Runs()], auth=["badge"], errors=style, name=style) for style in STYLES),
            Lane("/open", serve=[Probe()], errors="plain"),
        ],
        server=ServerSettings(max_body_bytes=100),
    )
    async with serving(kit) as server:
        yield server.client


REQUESTS: dict[str, tuple[int, str, dict[str, Any]]] = {
    "bad-request": (400, "bad_request", {"url": "/refusals/BadRequest"}),
    "unauthorized": (401, "unauthorized", {"url": "/who", "headers": {}}),
    "rejected": (401, "unauthorized", {"url": "/who", "headers": {"x-badge": "fake"}}),
    "rejected-as-forbidden": (403, "forbidden", {"url": "/who", "headers": {"x-badge": "forbidden"}}),
    "not-permitted": (403, "forbidden", {"method": "POST", "url": "/written"}),
    "not-found-by-a-handler": (404, "not_found", {"url": "/refusals/NotFound"}),
    "no-such-path": (404, "not_found", {"url": "/nowhere"}),
    "the-lane-itself": (404, "not_found", {"url": ""}),
    "no-such-method": (405, "method_not_allowed", {"method": "DELETE", "url": "/who"}),
    "conflict": (409, "conflict", {"url": "/refusals/Conflict"}),
    "too-large": (413, "payload_too_large", {"url": "/refusals/TooLarge"}),
    "wrong-type": (415, "unsupported_media_type", {"url": "/refusals/UnsupportedMediaType"}),
    "too-many": (429, "too_many_requests", {"url": "/refusals/TooManyRequests"}),
    "unforeseen": (500, "internal_error", {"url": "/boom"}),
    "unavailable": (503, "unavailable", {"url": "/refusals/Unavailable"}),
    "auth-that-fails": (503, "auth_unavailable", {"url": "/who", "headers": {"x-badge": "boom"}}),
}


def assert_styled(style: str, status: int, code: str, answer: httpx.Response) -> None:
    said = answer.json()
    kind = "application/problem+json" if style == "problem" else "application/json"
    assert answer.headers["content-type"] == kind
    match style:
        case "plain":
            assert said["error"] == code
            assert said.keys() <= {"error", "message"}
        case "detail":
            assert list(said) == ["detail"]
            assert said["detail"]
        case "error.v1":
            assert said["schema"] == "error.v1"
            assert said["code"] == {"unauthorized": "UNAUTHENTICATED"}.get(code, code.upper())
            assert said["message"]
            assert said["request_id"] == answer.headers["x-request-id"]
            assert said.keys() == {"schema", "code", "message", "details", "request_id"}
        case "problem":
            assert (said["status"], said["code"], said["type"]) == (status, code, "about:blank")
            assert said["title"]
            assert said["request_id"] == answer.headers["x-request-id"]
        case "anthropic":
            assert said["error"]["type"] == ANTHROPIC_TYPES.get(status, "invalid_request_error")
            assert said["error"]["message"]
            assert (said["type"], said["error"].keys()) == ("error", {"type", "message"})
            assert said["request_id"] == answer.headers["x-request-id"]
        case _:
            expected = "server_error" if status >= 500 else OPENAI_TYPES.get(status)
            assert said["error"]["type"] == expected or (expected is None and status in {400, 405, 409, 413, 415, 429})
            assert said["error"]["code"] == code
            assert said["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("status", "code", "request_"), REQUESTS.values(), ids=REQUESTS)
async def test_each_refusal_wears_the_style_of_its_lane(
    client: httpx.AsyncClient, style: str, status: int, code: str, request_: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"method": "GET", "headers": {"x-badge": "reader"}} | request_
    asked["url"] = f"/{style}{asked['url']}"
    answer = await client.request(**asked)
    assert answer.status_code == status
    assert_styled(style, status, code, answer)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert (answer.headers.get("connection") == "close") == (status == 401 and style == "plain")
    assert "1234" not in answer.text


@pytest.mark.parametrize("style", STYLES)
async def test_a_body_is_refused_in_style(client: httpx.AsyncClient, style: str) -> None:
    for status, code, content in ((400, "invalid_json", b"{"), (413, "payload_too_large", b" " * 101)):
        answer = await client.post(f"/{style}/runs/r/events", content=content, headers={"x-badge": "recorder"})
        assert answer.status_code == status
        assert_styled(style, status, code, answer)


async def test_a_lane_whose_authenticator_fails_leaves_the_others_alone(client: httpx.AsyncClient, told: Kept) -> None:
    before = len(told.named("auth.failed"))
    assert (await client.get("/plain/who", headers={"x-badge": "boom"})).status_code == 503
    assert (await client.get("/open/who", headers={"x-badge": "boom"})).json() == "anonymous"
    assert (await client.get("/plain/who", headers={"x-badge": "reader"})).json() == "reader"
    assert (await client.get("/plain/everybody", headers={"x-badge": "boom"})).json() == "anonymous"
    failed = told.named("auth.failed")[before:]
    assert [(fields["lane"], fields["auth"]) for fields in failed] == [("plain", "badge")]


async def test_what_a_handler_raises_is_logged_and_not_told(client: httpx.AsyncClient, told: Kept) -> None:
    answer = await client.get("/plain/boom", headers={"x-badge": "reader", "x-request-id": "mine"})
    assert answer.content == b'{"error":"internal_error"}'
    last = told.named("request.failed")[-1]
    assert (last["request_id"], last["path"], repr(last["error"])) == (
        "mine",
        "/plain/boom",
        "RuntimeError('the password is 1234')",
    )


async def test_a_refusal_is_no_failure(client: httpx.AsyncClient, told: Kept) -> None:
    before = len(told.named("request.failed"))
    await client.get("/plain/refusals/BadRequest", headers={"x-badge": "reader"})
    await client.get("/plain/nowhere")
    assert len(told.named("request.failed")) == before


STYLED: dict[str, str] = {
    "/styled": "openai",
    "/styled/": "openai",
    "/styled/nowhere": "openai",
    "//styled//nowhere": "openai",
    "/styled/deep": "anthropic",
    "/styled/deep/boom": "anthropic",
    "/styled/deep/nowhere": "anthropic",
    "/styled/deeper": "openai",
    "/styles": "plain",
    "/styledly": "plain",
}


@pytest.mark.parametrize(("path", "style"), STYLED.items(), ids=STYLED)
async def test_below_some_paths_errors_look_as_a_feature_says(client: httpx.AsyncClient, path: str, style: str) -> None:
    there = path.rstrip("/") in {"/styled", "/styled/deep/boom", "/styles"}
    answer = await client.get(f"/plain{path}", headers={"x-badge": "reader"})
    assert_styled(style, *((500, "internal_error") if there else (404, "not_found")), answer)
    if there:
        assert_styled(style, 401, "unauthorized", await client.get(f"/plain{path}", headers={"x-badge": "fake"}))
        assert_styled(style, 405, "method_not_allowed", await client.delete(f"/plain{path}"))


class Otherwise(Feature[NoSettings]):
    error_styles: ClassVar = {"/styled": "detail"}

    def routes(self) -> Sequence[object]:
        return []


async def test_two_styles_below_one_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Kit(storage=storage_in(tmp_path), lanes=[Lane("/api", serve=[Probe(), Otherwise()])])
    assert "below /styled look like 'openai', and Otherwise like 'detail'" in str(raised.value)


async def test_a_permission_opens_what_it_names(client: httpx.AsyncClient) -> None:
    assert (await client.post("/plain/written", headers={"x-badge": "writer"})).json() == "writer"
    refused = await client.post("/plain/written", headers={"x-badge": "reader"})
    assert refused.json() == {"error": "forbidden", "message": "this needs the permission 'probe:write'"}


async def test_health_is_told_at_the_root(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_outside_every_lane_a_refusal_is_a_problem(client: httpx.AsyncClient) -> None:
    for path in ("/", "/nowhere", "/plainer", "/plai", "/openness/who"):
        answer = await client.get(path)
        assert_styled("problem", 404, "not_found", answer)


class Undeclared(Feature[NoSettings]):
    def routes(self) -> Sequence[object]:
        from litestar import get

        async def forgotten() -> None:
            """Nobody has said who may come here."""

        return [get("/forgotten")(forgotten)]


async def test_a_route_that_declares_no_permission_is_refused_before_the_start(tmp_path: Path) -> None:
    kit = Kit(storage=storage_in(tmp_path), lanes=[Lane("/api", serve=[Undeclared()])])
    with pytest.raises(ConfigurationError) as raised:
        kit.app()
    (problem,) = raised.value.problems
    assert isinstance(problem, Problem)
    assert "/api/forgotten" in str(problem)
    assert "permission" in str(problem)
    assert json.dumps(str(problem)).isascii()
