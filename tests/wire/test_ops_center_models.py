"""`config/ops-center.toml`, `/llm/*`: calls of models by OpenAI's and Anthropic's clients, with keys made here."""

from __future__ import annotations

from contextlib import asynccontextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anthropic
import openai
import pytest
import pytest_asyncio

from agentops.core.ports.model import Usage
from agentops.testing.provider import FakeProvider, Fault
from tests.wire.deployed import Deployed, deployed
from tests.wire.tokens import SECRET, bearer, token

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from openai.types.chat import ChatCompletionMessageParam

ADMIN: Final = token("boss", "*")
STARTING: Final = 5_000_000
USED: Final = Usage(input=1_000, output=100)
COST: Final = (1_000 * 150_000 + 100 * 600_000) // 1_000_000
"""Of them, at what the file says that gpt-4o-mini costs."""
HELLO: Final[list[ChatCompletionMessageParam]] = [{"role": "user", "content": "Hello there"}]
CHAT: Final = {"model": "echo", "messages": HELLO}
RING: Final = token_hex(32)


class OpsCenter(NamedTuple):
    """The deployment, and the provider that stands for both of its own."""

    up: Deployed
    provider: FakeProvider

    async def key(self, user: str = "alice", **wanted: Any) -> str:
        answer = await self.up.api.post(f"/admin/users/{user}/api-keys", json={"name": "app", **wanted}, headers=ADMIN)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["api_key"])

    @asynccontextmanager
    async def client(self, key: str) -> AsyncGenerator[openai.AsyncOpenAI]:
        address = f"{self.up.server.url}{self.up.path}/llm"
        async with openai.AsyncOpenAI(base_url=address, api_key=key, max_retries=0) as client:
            yield client


@pytest_asyncio.fixture
async def ops(storage: dict[str, str]) -> AsyncGenerator[OpsCenter]:
    async with FakeProvider(usage=USED) as provider:
        environ = {
            "OPS_JWT_SECRET": SECRET,
            "OPS_KEY_RING": RING,
            "OPENROUTER_URL": provider.openai_url,
            "OPENROUTER_API_KEY": "sk-of-openrouter",
            "ANTHROPIC_URL": provider.url,
            "ANTHROPIC_API_KEY": "sk-of-anthropic",
        }
        async with deployed("ops-center", [], storage | environ) as up:
            yield OpsCenter(up, provider)


async def test_a_model_streams_to_the_holder_of_a_key(ops: OpsCenter) -> None:
    async with ops.client(await ops.key()) as client:
        stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello there"


async def test_a_person_with_a_token_may_call_too(ops: OpsCenter) -> None:
    answer = await ops.up.api.post("/llm/chat/completions", json=CHAT, headers=token("zoe", "llm:call"))
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "Hello there"


async def test_models_are_open_to_all(ops: OpsCenter) -> None:
    answer = await ops.up.api.get("/llm/models")
    assert (answer.status_code, answer.json()["object"]) == (200, "list")
    assert {each["id"] for each in answer.json()["data"]} == {"echo", "gpt-4o-mini", "claude-sonnet"}
    assert {each["object"] for each in answer.json()["data"]} == {"model"}
    assert (await ops.up.api.get("/llm/models/gpt-4o-mini")).json()["owned_by"] == "openrouter"


async def test_a_call_is_paid_from_the_callers_credits(ops: OpsCenter) -> None:
    headers = bearer(await ops.key())
    before = (await ops.up.api.get("/llm/credits", headers=headers)).json()
    assert before.items() >= {"credits_remaining": STARTING, "credits_allocated": STARTING, "tier": "trial"}.items()
    answer = await ops.up.api.post("/llm/chat/completions", json=CHAT | {"model": "gpt-4o-mini"}, headers=headers)
    told = answer.json()["_metadata"]
    assert (told["provider_used"], told["cost_incurred"]) == ("openrouter", COST)
    assert told["credits_remaining"] == STARTING - COST
    after = (await ops.up.api.get("/llm/credits", headers=headers)).json()
    assert (after["credits_remaining"], after["credits_allocated"], after["credits_held"]) == (
        STARTING - COST,
        STARTING,
        0,
    )
    call, start = (await ops.up.api.get("/llm/credits/history", headers=headers)).json()["entries"]
    assert (call["kind"], call["amount"], call["call"]) == ("call", -COST, told["transaction_id"])
    assert (start["kind"], start["amount"]) == ("start", STARTING)
    (used,) = (await ops.up.api.get("/llm/usage?by=user,model", headers=ADMIN)).json()["rows"]
    assert (used["user"], used["model"], used["cost"]) == ("alice", "gpt-4o-mini", COST)
    assert (await ops.up.api.get("/llm/credits", headers=bearer(await ops.key("bob")))).json()["credits_used"] == 0


async def test_the_next_provider_is_asked_when_one_fails(ops: OpsCenter) -> None:
    ops.provider.fail(Fault(status=403))
    async with ops.client(await ops.key()) as client:
        answer = await client.chat.completions.create(model="claude-sonnet", messages=HELLO)
    assert answer.choices[0].message.content == "You asked: Hello there"
    assert [(request.path, request.fields["model"]) for request in ops.provider.requests] == [
        ("/v1/messages", "claude-sonnet-4-20250514"),
        ("/v1/chat/completions", "anthropic/claude-sonnet-4"),
    ]


async def test_anthropics_client_comes_with_such_a_key_as_its_token(ops: OpsCenter) -> None:
    address = f"{ops.up.server.url}{ops.up.path}/llm"
    async with anthropic.AsyncAnthropic(base_url=address, auth_token=await ops.key(), api_key=None) as client:
        answer = await client.messages.create(
            model="claude-sonnet", max_tokens=50, messages=[{"role": "user", "content": "Hello there"}]
        )
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.create(model="gpt-9", max_tokens=50, messages=[{"role": "user", "content": "a"}])
    assert answer.content[0].to_dict() == {"type": "text", "text": "You asked: Hello there"}
    assert ops.provider.requests[0].headers["x-api-key"] == "sk-of-anthropic"


async def test_a_users_own_key_is_used_and_nothing_is_charged(ops: OpsCenter) -> None:
    headers = bearer(await ops.key())
    own = {"provider": "openrouter", "api_key": "sk-or-of-alice-herself"}
    assert (await ops.up.api.post("/llm/byok/keys", json=own, headers=headers)).status_code == 403
    herself = token("alice", "llm:keys")
    assert (await ops.up.api.post("/llm/byok/keys", json=own, headers=herself)).status_code == 201
    answer = await ops.up.api.post("/llm/chat/completions", json=CHAT | {"model": "gpt-4o-mini"}, headers=headers)
    told = answer.json()["_metadata"]
    assert (told["using_byok"], told["byok_provider"], told["cost_incurred"]) == (True, "openrouter", 0)
    assert ops.provider.requests[0].headers["authorization"] == f"Bearer {own['api_key']}"


REFUSED = {
    "no credential": ("POST", "/llm/chat/completions", {}, 401, "authentication_error"),
    "a bad key": ("GET", "/llm/credits", bearer("uc_" + "0" * 64), 401, "authentication_error"),
    "no right": ("POST", "/llm/chat/completions", token("zoe", "runs:read"), 403, "permission_error"),
    "no such route": ("GET", "/llm/nothing", ADMIN, 404, "not_found_error"),
    "no such method": ("GET", "/llm/chat/completions", ADMIN, 405, "invalid_request_error"),
    "no such model": ("GET", "/llm/models/gpt-9", {}, 404, "not_found_error"),
    "no body": ("POST", "/llm/chat/completions", ADMIN, 400, "invalid_request_error"),
}


async def test_errors_are_as_openais_clients_read_them(ops: OpsCenter) -> None:
    for why, (method, path, headers, status, kind) in REFUSED.items():
        broken = b"{" if method == "POST" else b""
        sent = {**headers, "content-type": "application/json"}
        answer = await ops.up.api.request(method, path, content=broken, headers=sent)
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), why
        assert answer.json()["error"].keys() == {"message", "type", "param", "code"}, why
        assert answer.json()["error"]["type"] == kind, why


async def test_errors_beside_them_are_as_before(ops: OpsCenter) -> None:
    for path in ("/runs", "/llmx", "/nothing"):
        answer = await ops.up.api.get(path)
        assert (answer.status_code in {401, 404}, list(answer.json())) == (True, ["detail"]), path


async def test_a_key_may_have_limits_of_its_own(ops: OpsCenter) -> None:
    key = await ops.key(llm={"models": ["echo"], "budget_day": 1})
    async with ops.client(key) as client:
        with pytest.raises(openai.PermissionDeniedError):
            await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
        assert (await client.chat.completions.create(model="echo", messages=HELLO)).choices
    async with ops.client(await ops.key(llm={"budget_day": 1})) as client:
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, max_completion_tokens=100)
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert ops.provider.requests == []
