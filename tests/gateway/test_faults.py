"""A provider's bad hour: it is tried again, another is asked, and what cannot be mended is said."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agentops.core.ports.model import Usage
from agentops.plugins.features.operations import Operations
from agentops.plugins.models.anthropic import Anthropic
from agentops.plugins.models.openai import OpenAI
from agentops.testing.provider import FIELD, FakeProvider, Fault
from tests.gateway.calling import (
    asking,
    assert_nothing_is_held,
    call_in,
    calls_in,
    datas_of,
    post,
    quick,
    text_in,
)
from tests.gateway.gated import gated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.gateway.gated import Gated

REPLY = "one two three four five"
USED = Usage(20, 10)
COST = 30
READ = 4
"""Tokens of `hello`, as they are estimated."""
REFUSALS = {429: 429, 400: 400, 413: 413, 418: 418, 500: 502, 503: 503, 529: 529}
"""Of the provider's, and what the caller is answered."""
BUDGET = {"budget_day": 1_000_000}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(reply=REPLY, usage=USED) as made:
        yield made


@pytest.fixture
async def other() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(reply="from the other", usage=USED) as made:
        yield made


@asynccontextmanager
async def before(folder: Path, provider: FakeProvider, **more: Any) -> AsyncIterator[Gated]:
    """A gateway with a budget, so that whatever is held must be given back."""
    settings: dict[str, Any] = {"first_byte_seconds": 0.2, **more.pop("asks", {})}
    async with gated(folder, {"first": asking(provider, **settings)}, each_key=BUDGET, **more) as gate:
        yield gate
        await assert_nothing_is_held(gate.kit)


def no_one() -> OpenAI:
    """Asks at a port that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return OpenAI(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1")


def error_of(answer: httpx.Response) -> Any:
    """Of an answer, or of the end of a stream that had begun."""
    if answer.is_success:
        datas = datas_of(answer)
        assert "[DONE]" not in datas
        return datas[-1]["error"]
    return answer.json()["error"]


class TestRefusals:
    @pytest.mark.parametrize("streamed", [False, True])
    async def test_one_that_passes_is_waited_for(self, tmp_path: Path, provider: FakeProvider, streamed: bool) -> None:
        provider.fail(Fault(status=429, retry_after=0.03), Fault(status=503))
        async with before(tmp_path, provider, retry=quick()) as gate:
            began = asyncio.get_running_loop().time()
            answer = await post(gate, stream=streamed)
            assert answer.status_code == 200
            assert asyncio.get_running_loop().time() - began >= 0.03
            call = await call_in(gate.kit)
            assert (call.outcome, call.tries, call.cost) == ("ok", 3, COST)
            assert len(provider.requests) == 3
            told = gate.told.named("llm.retry")
            assert [(each["target"], each["reason"]) for each in told] == [("first", "429"), ("first", "503")]
            assert told[0]["delay_ms"] >= 30  # type: ignore[operator]
            assert gate.told.only("llm.retry_success")[1]["tries"] == 3

    async def test_the_run_is_told_of_each_try(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.fail(Fault(status=429), Fault(status=500, message="Oh dear."))
        async with before(tmp_path, provider, retry=quick()) as gate:
            assert (await gate.chat()).is_success
            (run,) = [run["id"] for run in await gate.get("/runs")]
            events = await gate.events(run)
            assert [event["type"] for event in events] == ["llm.request", "llm.retry", "llm.retry", "llm.response"]
            assert [event["payload"]["status"] for event in events[1:3]] == [429, 500]
            assert events[2]["payload"]["message"] == "Oh dear."
            assert events[3]["payload"]["tries"] == 3

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_one_that_stays_is_handed_on_in_their_words(
        self, tmp_path: Path, provider: FakeProvider, streamed: bool
    ) -> None:
        async with before(tmp_path, provider) as gate:
            for theirs, ours in REFUSALS.items():
                provider.always = Fault(status=theirs, retry_after=7, message="Not today.")
                answer = await post(gate, stream=streamed)
                assert answer.status_code == ours
                assert error_of(answer)["message"] == "Not today."
                assert answer.headers["retry-after"] == "7"
            calls = await calls_in(gate.kit)
            assert {(call.outcome, call.cost, call.input, call.output) for call in calls} == {("failed", 0, 0, 0)}
            (row,) = (await gate.get("/llm/usage"))["rows"]
            assert (row["calls"], row["failed"], row["cost"]) == (len(REFUSALS), len(REFUSALS), 0)

    async def test_one_of_our_own_key_is_not_the_callers(self, tmp_path: Path, provider: FakeProvider) -> None:
        async with before(tmp_path, provider) as gate:
            for status in (401, 402, 403):
                provider.always = Fault(status=status, message="Your account acct_42 owes us money.")
                answer = await post(gate)
                assert answer.status_code == 502
                assert "acct_42" not in answer.text
                assert answer.headers["x-should-retry"] == "false"

    async def test_a_redirect_is_not_followed_and_not_handed_on(
        self, tmp_path: Path, provider: FakeProvider, other: FakeProvider
    ) -> None:
        provider.always = Fault(status=307, headers={"Location": f"{other.openai_url}/chat/completions"})
        async with before(tmp_path, provider) as gate:
            for streamed in (False, True):
                answer = await post(gate, stream=streamed)
                assert answer.status_code == 502
                assert "location" not in answer.headers
            assert other.requests == []


SLOW = {"whole": (False, None), "stream": (True, 0)}


class TestSlowness:
    @pytest.mark.parametrize("how", SLOW)
    async def test_one_that_does_not_begin_is_given_up(self, tmp_path: Path, provider: FakeProvider, how: str) -> None:
        streamed, after = SLOW[how]
        provider.always = Fault(then="hold", after=after)
        async with before(tmp_path, provider) as gate:
            answer = await post(gate, stream=streamed)
            assert answer.status_code == 502
            assert error_of(answer)["message"] == "first: the provider did not begin to answer for 0.2 s"
            await provider.abandoned(1)
            assert (await call_in(gate.kit)).cost == 0

    async def test_one_that_falls_silent_is_given_up_and_what_came_is_charged(
        self, tmp_path: Path, provider: FakeProvider
    ) -> None:
        provider.always = Fault(then="hold", after=3)
        async with before(tmp_path, provider, asks={"idle_seconds": 0.2}) as gate:
            answer = await post(gate, stream=True)
            assert text_in(datas_of(answer)) == "one two"
            assert "was silent for 0.2 s" in error_of(answer)["message"]
            await provider.abandoned(1)
            call = await call_in(gate.kit)
            assert (call.outcome, call.input, call.output, call.estimated) == ("cut", READ, 2, True)

    @pytest.mark.parametrize("after", [None, 0, 3])
    async def test_a_call_may_take_so_long_and_no_longer(
        self, tmp_path: Path, provider: FakeProvider, after: int | None
    ) -> None:
        provider.always = Fault(then="hold", after=after)
        asks = {"first_byte_seconds": 60}
        async with before(tmp_path, provider, asks=asks, retry=quick(), call_seconds=0.2) as gate:
            answer = await post(gate, stream=after is not None)
            assert answer.status_code == (200 if after else 504)
            assert error_of(answer)["message"] == "the call took longer than calls may take here"
            await provider.abandoned(1)
            call = await call_in(gate.kit)
            assert (call.output, call.tries) == (2 if after else 0, 1)


class TestCuts:
    @pytest.mark.parametrize("then", ["cut", "garbage", "broken-json"])
    async def test_a_whole_answer_that_is_cut_or_no_json_is_none(
        self, tmp_path: Path, provider: FakeProvider, then: Any
    ) -> None:
        provider.always = Fault(then=then)
        async with before(tmp_path, provider) as gate:
            answer = await post(gate)
            assert answer.status_code == 502
            call = await call_in(gate.kit)
            assert (call.outcome, call.cost) == ("failed", 0)

    @pytest.mark.parametrize("then", ["cut", "garbage", "broken-json"])
    async def test_in_the_middle_of_a_stream_what_came_is_charged(
        self, tmp_path: Path, provider: FakeProvider, then: Any
    ) -> None:
        provider.always = Fault(then=then, after=3)
        async with before(tmp_path, provider) as gate:
            answer = await post(gate, stream=True)
            assert text_in(datas_of(answer)) == "one two"
            assert error_of(answer)["message"]
            call = await call_in(gate.kit)
            assert (call.outcome, call.input, call.output, call.estimated) == ("cut", READ, 2, True)
            assert call.cost == READ + 2

    @pytest.mark.parametrize("then", ["cut", "garbage", "broken-json"])
    async def test_before_its_first_piece_a_stream_is_begun_anew(
        self, tmp_path: Path, provider: FakeProvider, then: Any
    ) -> None:
        provider.fail(Fault(then=then, after=0))
        async with before(tmp_path, provider, retry=quick()) as gate:
            datas = datas_of(await post(gate, stream=True))
            assert text_in(datas) == REPLY
            assert datas[-1] == "[DONE]"
            call = await call_in(gate.kit)
            assert (call.outcome, call.tries, call.cost, call.estimated) == ("ok", 2, COST, False)

    @pytest.mark.parametrize("fault", [Fault(then="cut"), Fault(no_done=True)], ids=["cut", "ended"])
    async def test_behind_the_last_chunk_and_before_done_all_is_there(
        self, tmp_path: Path, provider: FakeProvider, fault: Fault
    ) -> None:
        provider.always = fault
        async with before(tmp_path, provider) as gate:
            datas = datas_of(await post(gate, stream=True))
            assert text_in(datas) == REPLY
            assert datas[-1] == "[DONE]"
            call = await call_in(gate.kit)
            assert (call.outcome, call.input, call.output, call.estimated) == ("ok", *USED[:2], False)
            assert call.cost == COST

    async def test_cut_there_without_a_count_it_may_be_a_part_and_is_said_to_be(
        self, tmp_path: Path, provider: FakeProvider
    ) -> None:
        provider.always = Fault(then="cut", no_usage=True)
        async with before(tmp_path, provider) as gate:
            answer = await post(gate, stream=True)
            assert text_in(datas_of(answer)) == REPLY
            assert error_of(answer)["message"]
            call = await call_in(gate.kit)
            assert (call.outcome, call.output, call.estimated) == ("cut", -(-len(REPLY) // 4), True)


class TestNoUsage:
    @pytest.mark.parametrize("streamed", [False, True])
    async def test_it_is_estimated_and_said_to_be(self, tmp_path: Path, provider: FakeProvider, streamed: bool) -> None:
        provider.always = Fault(no_usage=True)
        async with before(tmp_path, provider) as gate:
            answer = await post(gate, stream=streamed)
            call = await call_in(gate.kit)
            assert (call.outcome, call.input, call.output, call.estimated) == ("ok", READ, -(-len(REPLY) // 4), True)
            assert call.cost == READ + call.output
            if not streamed:
                metadata = answer.json()["_metadata"]
                assert metadata["usage_estimated"] is True
                assert metadata["cost_incurred"] == call.cost
            (run,) = [run["id"] for run in await gate.get("/runs")]
            assert (await gate.events(run))[-1]["payload"]["usage"]["estimated"] is True

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_an_estimate_is_never_more_than_the_caller_asked_for(
        self, tmp_path: Path, provider: FakeProvider, streamed: bool
    ) -> None:
        provider.reply = "antidisestablishmentarianism"
        provider.always = Fault(no_usage=True)
        async with before(tmp_path, provider) as gate:
            assert (await post(gate, stream=streamed, max_tokens=2)).is_success
            assert (await call_in(gate.kit)).output == 2

    async def test_numbers_are_not_text_that_was_written(self, tmp_path: Path, provider: FakeProvider) -> None:
        provider.always = Fault(no_usage=True)
        async with before(tmp_path, provider) as gate:
            assert (await post(gate, "embeddings", dimensions=500)).is_success
            call = await call_in(gate.kit)
            assert (call.output, call.estimated) == (0, True)


EMPTY = (
    b"{}",
    b'{"choices":[]}',
    b'{"choices":null,"output":null}',
    b'{"error":{"message":"no"}}',
    b'{"error":"no"}',
    b'{"choices":[{"error":{"message":"no"}}],"status":"failed"}',
    b"[]",
    b"",
    b"null",
)


def answered(media_type: str, said: bytes) -> bytes:
    """A sound head, and whatever comes behind it."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(said)}\r\n\r\n"
    return head.encode() + said


class TestErrorsInBand:
    """A status of 200 does not make an answer of it."""

    @pytest.mark.parametrize("then", ["error", "choice-error"])
    @pytest.mark.parametrize("after", [None, 0, 3])
    async def test_it_is_an_error_of_the_gateway_too(
        self, tmp_path: Path, provider: FakeProvider, then: Any, after: int | None
    ) -> None:
        provider.always = Fault(then=then, after=after, message="We are out of turtles.")
        async with before(tmp_path, provider) as gate:
            answer = await post(gate, stream=after is not None)
            assert answer.status_code == (200 if after else 502)
            assert error_of(answer)["message"] == "We are out of turtles."
            call = await call_in(gate.kit)
            assert call.outcome == ("cut" if after else "failed")
            assert call.cost == (READ + 2 if after else 0)

    @pytest.mark.parametrize("path", ["chat/completions", "responses"])
    async def test_an_answer_in_which_there_is_none_is_not_a_success(
        self, tmp_path: Path, provider: FakeProvider, path: str
    ) -> None:
        async with before(tmp_path, provider) as gate:
            for said in EMPTY:
                provider.always = Fault(raw=answered("application/json", said))
                for streamed in (False, True):
                    answer = await post(gate, path, stream=streamed)
                    assert answer.status_code >= 500, (said, answer.text)
            assert {(call.outcome, call.cost) for call in await calls_in(gate.kit)} == {("failed", 0)}

    async def test_a_stream_in_which_there_is_nothing_is_not_a_success(
        self, tmp_path: Path, provider: FakeProvider
    ) -> None:
        async with before(tmp_path, provider) as gate:
            for said in (b"", b"data: [DONE]\n\n", b": ping\n\n", b'data: {"choices":[]}\n\n'):
                provider.always = Fault(raw=answered("text/event-stream", said))
                assert error_of(await post(gate, stream=True))["message"], said
            assert {call.outcome for call in await calls_in(gate.kit)} <= {"failed", "cut"}

    async def test_one_that_says_to_come_again_is_tried_again(self, tmp_path: Path, provider: FakeProvider) -> None:
        async with before(tmp_path, provider, retry=quick()) as gate:
            provider.fail(Fault(then="error", kind="overloaded_error"))
            assert (await post(gate)).is_success
            provider.fail(Fault(then="error", after=0, kind="server_error"))
            assert text_in(datas_of(await post(gate, stream=True))) == REPLY
            assert [call.tries for call in await calls_in(gate.kit)] == [2, 2]

    @pytest.mark.parametrize("after", [None, 0, 3])
    async def test_in_the_words_of_responses_too(
        self, tmp_path: Path, provider: FakeProvider, after: int | None
    ) -> None:
        provider.always = Fault(then="error", after=after, message="We are out of turtles.")
        async with before(tmp_path, provider) as gate:
            answer = await post(gate, "responses", stream=after is not None)
            assert answer.status_code == (200 if after else 502)
            assert error_of(answer)["message"] == "We are out of turtles."
            if after:
                assert "event: error\n" in answer.text
                assert "response.completed" not in answer.text

    @pytest.mark.parametrize("after", [None, 0, 3])
    @pytest.mark.parametrize("path", ["messages", "chat/completions"])
    async def test_of_anthropic_too(self, tmp_path: Path, provider: FakeProvider, path: str, after: int | None) -> None:
        provider.always = Fault(then="error", after=after, kind="overloaded_error", message="We are out of turtles.")
        model = Anthropic(base_url=provider.url, key="sk-ant-ours")
        async with gated(tmp_path, {"first": model}, each_key=BUDGET) as gate:
            answer = await post(gate, path, stream=after is not None)
            assert answer.status_code == (200 if after else 529)
            assert error_of(answer)["message"] == "We are out of turtles."
            assert "message_stop" not in answer.text
            assert (await call_in(gate.kit)).outcome == ("cut" if after else "failed")
            await assert_nothing_is_held(gate.kit)


FAILING = (
    Fault(status=500),
    Fault(status=401),
    Fault(status=404),
    Fault(status=302),
    Fault(then="error", after=0),
    Fault(then="garbage", after=0),
    Fault(then="cut", after=0),
)


class TestFallback:
    @pytest.mark.parametrize("streamed", [False, True])
    async def test_the_next_is_asked_when_one_fails(
        self, tmp_path: Path, provider: FakeProvider, other: FakeProvider, streamed: bool
    ) -> None:
        models = {"first": asking(provider), "second": asking(other)}
        async with gated(tmp_path, models, each_key=BUDGET) as gate:
            for provider.always in FAILING:
                answer = await post(gate, stream=streamed)
                if streamed:
                    assert text_in(datas_of(answer)) == "from the other"
                else:
                    assert answer.json()["_metadata"]["provider_used"] == "second"
            calls = await calls_in(gate.kit)
            said = {(call.outcome, call.provider, call.tries, call.cost) for call in calls}
            assert said == {("ok", "second", 2, COST)}
            (run,) = [run["id"] for run in await gate.get("/runs")]
            retries = [event for event in await gate.events(run) if event["type"] == "llm.retry"]
            assert [retry["payload"]["provider"] for retry in retries] == ["first"] * len(FAILING)
            await assert_nothing_is_held(gate.kit)

    async def test_one_that_is_not_there(self, tmp_path: Path, other: FakeProvider) -> None:
        async with gated(tmp_path, {"first": no_one(), "second": asking(other)}, retry=quick()) as gate:
            assert (await post(gate)).json()["_metadata"]["provider_used"] == "second"
            assert (await call_in(gate.kit)).tries == 4

    async def test_each_has_its_own_name_for_the_model_and_its_own_price(
        self, tmp_path: Path, provider: FakeProvider, other: FakeProvider
    ) -> None:
        provider.always = Fault(status=500)
        targets = [{"provider": "first", "model": "big/one"}, {"provider": "second", "model": "two"}]
        prices = [
            {"provider": "first", "model": "big/one", "input": 1_000_000, "output": 1_000_000},
            {"provider": "second", "model": "two", "input": 3_000_000, "output": 3_000_000},
        ]
        async with gated(
            tmp_path, {"first": asking(provider), "second": asking(other)}, targets=targets, prices=prices
        ) as gate:
            answer = await post(gate)
            assert answer.json()["_metadata"]["cost_incurred"] == 3 * COST
            assert [each.requests[0].fields["model"] for each in (provider, other)] == ["big/one", "two"]

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_what_is_wrong_with_the_request_is_wrong_everywhere(
        self, tmp_path: Path, provider: FakeProvider, other: FakeProvider, streamed: bool
    ) -> None:
        provider.always = Fault(status=400, message="max_tokens is too large")
        async with gated(tmp_path, {"first": asking(provider), "second": asking(other)}) as gate:
            assert (await post(gate, stream=streamed)).status_code == 400
            assert other.requests == []

    async def test_a_stream_that_has_begun_is_not_begun_by_another(
        self, tmp_path: Path, provider: FakeProvider, other: FakeProvider
    ) -> None:
        provider.always = Fault(then="cut", after=2)
        models = {"first": asking(provider), "second": asking(other)}
        async with gated(tmp_path, models, retry=quick()) as gate:
            answer = await post(gate, stream=True)
            assert text_in(datas_of(answer)) == "one"
            assert error_of(answer)["message"]
            assert other.requests == []

    async def test_when_all_fail_the_last_one_is_told(
        self, tmp_path: Path, provider: FakeProvider, other: FakeProvider
    ) -> None:
        provider.always, other.always = Fault(status=500), Fault(status=503, message="Later.", retry_after=3)
        async with gated(tmp_path, {"first": asking(provider), "second": asking(other)}, each_key=BUDGET) as gate:
            answer = await post(gate)
            assert answer.status_code == 503
            assert error_of(answer)["message"] == "Later."
            call = await call_in(gate.kit)
            assert (call.outcome, call.tries, call.cost) == ("failed", 2, 0)
            await assert_nothing_is_held(gate.kit)


class TestWeights:
    async def test_they_share_in_that_proportion(
        self, tmp_path: Path, provider: FakeProvider, other: FakeProvider
    ) -> None:
        targets: list[dict[str, Any]] = [
            {"provider": "first", "weight": 3},
            {"provider": "second", "weight": 1},
            {"provider": "reserve"},
        ]
        async with FakeProvider() as reserve:
            models = {"first": asking(provider), "second": asking(other), "reserve": asking(reserve)}
            async with gated(tmp_path, models, targets=targets) as gate:
                answers = await asyncio.gather(*(post(gate) for _ in range(200)))
                assert all(answer.is_success for answer in answers)
            assert 115 <= len(provider.requests) <= 185  # less likely outside than one in a hundred million
            assert len(provider.requests) + len(other.requests) == 200
            assert reserve.requests == []

    async def test_who_has_none_is_asked_when_they_fail(
        self, tmp_path: Path, provider: FakeProvider, other: FakeProvider
    ) -> None:
        provider.always = Fault(status=500)
        targets: list[dict[str, Any]] = [{"provider": "second"}, {"provider": "first", "weight": 1}]
        async with gated(tmp_path, {"first": asking(provider), "second": asking(other)}, targets=targets) as gate:
            assert (await post(gate)).json()["_metadata"]["provider_used"] == "second"
            assert len(provider.requests) == 1


async def test_who_is_down_is_left_alone_and_health_says_so(
    tmp_path: Path, provider: FakeProvider, other: FakeProvider
) -> None:
    provider.always = Fault(status=500)
    retry = quick(attempts=1, breaker_faults=3, breaker_seconds=0.3)
    models = {"first": asking(provider), "second": asking(other)}
    async with gated(tmp_path, models, retry=retry, beside=[Operations()], each_key=BUDGET) as gate:
        for _ in range(5):
            assert (await post(gate)).json()["_metadata"]["provider_used"] == "second"
        assert len(provider.requests) == 3
        gate.told.only("llm.breaker_opened")
        assert [call.tries for call in await calls_in(gate.kit)] == [2, 2, 2, 1, 1]
        health = await gate.get("/health")
        assert health["status"] == "degraded"
        assert health["components"]["retry"]["details"] == {"left_alone": ["first"]}
        provider.always = Fault()
        await asyncio.sleep(0.3)
        assert (await post(gate)).json()["_metadata"]["provider_used"] == "first"
        gate.told.only("llm.breaker_closed")
        await assert_nothing_is_held(gate.kit)


async def test_a_model_whose_only_provider_is_left_alone_is_told_to_be(tmp_path: Path, provider: FakeProvider) -> None:
    provider.always = Fault(status=500)
    async with before(tmp_path, provider, retry=quick(attempts=1, breaker_faults=2)) as gate:
        assert [(await post(gate)).status_code for _ in range(2)] == [502, 502]
        answer = await post(gate)
        assert (answer.status_code, error_of(answer)["code"]) == (503, "target_down")
        assert int(answer.headers["retry-after"]) >= 1
        assert [call.tries for call in await calls_in(gate.kit)] == [1, 1, 0]


async def test_a_fault_can_be_asked_for_in_the_request(tmp_path: Path, provider: FakeProvider) -> None:
    """Fields that the gateway does not know go to the provider as they are."""
    async with before(tmp_path, provider) as gate:
        fields: dict[str, Any] = {FIELD: {"status": 409, "message": "As asked."}}
        assert (await post(gate, **fields)).status_code == 409
