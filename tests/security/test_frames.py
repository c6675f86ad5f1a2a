"""No payload breaks out of a frame of a stream, and each comes back as it was sent, wherever it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentops.testing.server import Frames, following

if TYPE_CHECKING:
    from tests.wire.deployed import Deployed

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "\n\ndata: x\n\n",
        "\r\n\r\nevent: gap\r\n",
        "\rid: 9\r",
        "\u2028\u2029\x85",
        "\0",
        ": c\n\n",
        "\ufeff",
        "</script>",
    ]
)
NUMBERS = st.integers() | st.integers(-(10**400), 10**400) | st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)
HOW = st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 2, "\r\n", "\t"])})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.tuples(TEXT.filter(lambda t: 1 <= len(t) <= 200), JSON), min_size=1, max_size=4), how=HOW)
async def test_every_payload_stays_in_its_frame_and_comes_back(
    shared: Deployed, run: str, events: list[tuple[str, Any]], how: dict[str, Any]
) -> None:
    sent = [{"type": kind, "agentId": kind, "payload": payload} for kind, payload in events]
    async with following(shared.api, f"/runs/{run}/stream") as frames:
        for event in sent:
            body = json.dumps(event, **how).encode()
            answer = await shared.api.post(f"/runs/{run}/events", content=body)
            assert answer.status_code == 201, answer.text
            await assert_one_frame(frames, answer, event)
        page = await shared.api.get(f"/runs/{run}/events?limit=1000")
    assert [mine(event) for event in json.loads(page.content)[-len(sent) :]] == sent
    numbers = [event["id"] for event in page.json()]
    async with following(shared.api, f"/runs/{run}/stream?after={int(numbers[-len(sent)]) - 1}") as again:
        assert [mine(event) for event in await again.events(len(sent))] == sent


async def assert_one_frame(frames: Frames, answer: httpx.Response, event: dict[str, Any]) -> None:
    frame = await frames.next()
    lines = frame.split(b"\n")
    assert b"\r" not in frame
    assert [line.partition(b":")[0] for line in lines] == [b"id", b"data", b"", b""]
    assert lines[1] == b"data: " + answer.content
    assert mine(json.loads(answer.content)) == event


def mine(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("type", "agentId", "payload")}
