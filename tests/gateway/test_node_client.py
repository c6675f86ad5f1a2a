"""OpenAI's own client for Node, unchanged, at the gateway."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
import pytest_asyncio

from agentops.core.allowance import Allowance
from tests.core.parts import until
from tests.gateway.fake import USED, before_openai

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

FOLDER: Final = Path(__file__).parent / "node"
ANSWER: Final = "You asked: Hello there, who are you?"
CALLS: Final = 13
"""In the script, each of them one request."""
USAGE: Final = {"prompt_tokens": USED.input, "completion_tokens": USED.output}


def what_is_missing() -> str:
    if shutil.which("node") is None:
        return "there is no `node` on this machine, so OpenAI's client for Node cannot be tried"
    if not (FOLDER / "node_modules" / "openai").is_dir():
        return f"OpenAI's client for Node is not installed: `npm ci` in {FOLDER.name}/ does it, and so does `make test`"
    return ""


pytestmark = pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing())

Told = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Told]:
    """What came of each call; the last of them was left in the middle, and the provider was told so."""
    async with before_openai(tmp_path_factory.mktemp("node")) as behind:
        behind.gate.let_in("poor", Allowance(budget_day=1))
        address = f"{behind.gate.server.url}/api/llm"
        node = await asyncio.create_subprocess_exec(
            "node",
            "calls.mjs",
            cwd=FOLDER,
            env={"PATH": os.environ["PATH"], "GATEWAY": address, "KEY": "alice"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await node.communicate()
        assert node.returncode == 0, err.decode()
        await behind.provider.abandoned(1)
        await until(lambda: behind.gate.served >= CALLS)
        unknown = behind.provider.requests[0].fields["x_vendor"]
        yield {**msgspec.json.decode(out), "arrived": unknown, "requests": behind.gate.served}


async def test_a_chat(told: Told) -> None:
    chat = told["chat"]
    assert (chat["text"], chat["cost"]) == (ANSWER, USED.input + USED.output)
    assert chat["usage"].items() >= USAGE.items()
    assert told["arrived"] == {"b": 1, "a": "ü 😀"}


async def test_a_streamed_chat(told: Told) -> None:
    assert told["streamed"] == {"text": ANSWER, "count": len(ANSWER.split()) + 2, "finish": "stop"}
    assert told["streamedWithUsage"]["text"] == ANSWER
    assert told["streamedWithUsage"]["usage"].items() >= USAGE.items()


async def test_a_tool_of_a_streamed_chat(told: Told) -> None:
    assert told["tool"]["name"] == "weather"
    assert msgspec.json.decode(told["tool"]["arguments"]) == {"said": "Hello there, who are you?"}


async def test_embeddings_models_and_responses(told: Told) -> None:
    assert told["embeddings"] == [8, 8]
    assert told["models"] == ["small"]
    assert told["response"] == "You asked: Hello"
    assert told["responseStreamed"] == ["response.created", "response.completed"]


async def test_what_goes_wrong_is_an_error_of_its_own(told: Told) -> None:
    assert (told["unknownModel"]["error"], told["unknownModel"]["code"]) == ("NotFoundError", "model_not_found")
    assert told["unknownCaller"]["error"] == "AuthenticationError"
    assert (told["withoutMoney"]["error"], told["withoutMoney"]["code"]) == ("RateLimitError", "insufficient_quota")
    assert (told["brokenStream"]["error"], told["brokenStream"]["type"]) == ("APIError", "server_error")


async def test_it_asks_once_where_trying_again_is_in_vain(told: Told) -> None:
    assert told["leftStream"] == "left"
    assert told["requests"] == CALLS
