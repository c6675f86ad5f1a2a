"""The contract of an authenticator, as tests: every line that `core/ports/auth.py` promises.

    class TestMine(AuthContract):
        @pytest.fixture
        def authenticator(self):
            return Mine(secret="open-sesame")

        @pytest.fixture
        def good(self):
            return Caller([(b"x-mine", b"ada:open-sesame")])

        @pytest.fixture
        def wrong(self):
            return Caller([(b"x-mine", b"ada:sesame")])

The two callers send nothing but their credential. One that must be made first, such as a row, is made by a fixture
`good` that asks for `running`: there the authenticator has started, and `running.kit.deployment` holds the storage.
The tests are coroutines: run them with pytest-asyncio.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import pytest
import pytest_asyncio
from litestar import get

from agentops.core.errors import Rejected
from agentops.core.identity import Identity, is_permission
from agentops.core.kit import Kit
from agentops.core.lanes import Lane
from agentops.core.plugin import NoSettings
from agentops.core.ports.auth import Authenticator, Caller
from agentops.core.ports.feature import Feature
from agentops.testing._running import Running, asking, kept_running, storage_in

AnyAuthenticator: TypeAlias = Authenticator[Any]

NEEDED: Final = "contract:read"

UNRELATED: Final = [(b"host", b"localhost"), (b"user-agent", b"contract/1"), (b"accept", b"*/*")]

SPELLINGS: Final[dict[str, Callable[[str], str]]] = {"lower": str.lower, "upper": str.upper, "title": str.title}

ENDINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "one-shorter": lambda value: value[:-1],
    "half-of-it": lambda value: value[: len(value) // 2],
    "one-longer": lambda value: value + b"0",
    "another-last-letter": lambda value: value[:-1] + (b"1" if value.endswith(b"0") else b"0"),
    "not-ascii": lambda value: value + b"\xe9",
    "not-utf-8": lambda value: value + b"\xff\xfe",
    "with-a-nul": lambda value: value + b"\0",
    "twice-in-one": lambda value: value + b", " + value,
    "very-long": lambda value: value + b"a" * 20_000,
}


class AuthContract:
    """Subclass, give `authenticator`, `good` and `wrong`, run pytest."""

    @pytest.fixture
    def authenticator(self) -> AnyAuthenticator:
        raise NotImplementedError("give a fixture `authenticator`: one that has not started, and accepts `good`")

    @pytest.fixture
    def good(self) -> Caller:
        raise NotImplementedError("give a fixture `good`: a caller whose credential is accepted")

    @pytest.fixture
    def wrong(self) -> Caller:
        raise NotImplementedError("give a fixture `wrong`: a caller whose credential is refused")

    @pytest.fixture
    def near_good(self, good: Caller) -> Sequence[Caller]:
        """Nearly the good credential; give none where any text is good from the right peer, such as a user's name."""
        return [ending_in(good, change) for change in ENDINGS.values()]

    @pytest.fixture
    def secrets(self, good: Caller, wrong: Caller) -> Sequence[str]:
        """What may never be shown: the last word of each header, so that `Bearer` may be said."""
        values = [value.decode("latin-1").split() for caller in (good, wrong) for _, value in caller.headers]
        return [words[-1] for words in values if words]

    @pytest.fixture
    def kit(self, authenticator: AnyAuthenticator, tmp_path: Path) -> Kit:
        """A deployment in which only this authenticator guards the one lane there is."""
        lane = Lane("/lane", auth=["mine"], serve=[OnePage()])
        return Kit(storage=storage_in(tmp_path), auth={"mine": authenticator}, lanes=[lane])

    @pytest_asyncio.fixture
    async def running(self, kit: Kit) -> AsyncIterator[Running]:
        async with kept_running(kit) as running:
            yield running

    async def test_says_that_it_is_armed(self, running: Running, authenticator: AnyAuthenticator) -> None:
        assert authenticator.armed is True

    async def test_no_credential_is_left_to_the_next(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller
    ) -> None:
        assert await authenticator.authenticate(Caller([], good.peer)) is None
        assert await authenticator.authenticate(Caller(UNRELATED, good.peer)) is None

    async def test_a_good_credential_is_an_identity(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller
    ) -> None:
        identity = await authenticator.authenticate(good)
        assert isinstance(identity, Identity)
        assert identity.subject
        assert identity.project
        assert [text for text in identity.permissions if not is_permission(text)] == []

    async def test_other_headers_do_not_matter(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller
    ) -> None:
        among_others = Caller([*UNRELATED, *good.headers, (b"x-other", b"value")], good.peer)
        assert await authenticator.authenticate(among_others) == await authenticator.authenticate(good)

    async def test_a_wrong_credential_is_rejected(
        self, running: Running, authenticator: AnyAuthenticator, wrong: Caller
    ) -> None:
        rejected = await verdict(authenticator, wrong)
        assert isinstance(rejected, Rejected)
        assert rejected.status in {401, 403}

    @pytest.mark.parametrize("change", ENDINGS.values(), ids=ENDINGS)
    async def test_every_wrong_credential_gets_the_same_answer(
        self, running: Running, authenticator: AnyAuthenticator, wrong: Caller, change: Callable[[bytes], bytes]
    ) -> None:
        first, other = await verdict(authenticator, wrong), await verdict(authenticator, ending_in(wrong, change))
        assert other is None or answer_of(other) == answer_of(first)

    async def test_nearly_the_good_credential_gets_the_same_answer(
        self, running: Running, authenticator: AnyAuthenticator, wrong: Caller, near_good: Sequence[Caller]
    ) -> None:
        first = answer_of(await verdict(authenticator, wrong))
        for caller in near_good:
            other = await verdict(authenticator, caller)
            assert other is None or answer_of(other) == first, caller

    async def test_a_rejection_tells_nothing_of_what_was_presented(
        self,
        running: Running,
        authenticator: AnyAuthenticator,
        wrong: Caller,
        near_good: Sequence[Caller],
        secrets: Sequence[str],
    ) -> None:
        for caller in [wrong, *near_good]:
            rejected = await verdict(authenticator, caller)
            for error in chain_of(rejected):
                said = [str(error), repr(error), repr(error.args), repr(vars(error))]
                assert [secret for secret in secrets if any(secret in text for text in said)] == []

    async def test_a_header_sent_twice_is_rejected(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, wrong: Caller
    ) -> None:
        for other in (good, wrong):
            for headers in ([*good.headers, *other.headers], [*other.headers, *good.headers]):
                if good.headers:
                    rejected = await verdict(authenticator, Caller(headers, good.peer))
                    assert isinstance(rejected, Rejected)

    async def test_many_at_once_are_not_mixed_up(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, wrong: Caller
    ) -> None:
        identity, rejected = await verdict(authenticator, good), await verdict(authenticator, wrong)
        callers = [good, wrong, Caller(UNRELATED, good.peer)] * 40
        verdicts = await asyncio.gather(*(verdict(authenticator, caller) for caller in callers))
        assert verdicts[0::3] == [identity] * 40
        assert [answer_of(each) for each in verdicts[1::3]] == [answer_of(rejected)] * 40
        assert verdicts[2::3] == [None] * 40

    async def test_it_shows_no_secret_of_its_own(
        self,
        running: Running,
        authenticator: AnyAuthenticator,
        good: Caller,
        wrong: Caller,
        secrets: Sequence[str],
    ) -> None:
        await verdict(authenticator, good)
        await verdict(authenticator, wrong)
        settings = authenticator.settings
        shown = [str(authenticator), repr(vars(authenticator)), str(settings), repr(msgspec.structs.asdict(settings))]
        shown += [repr(authenticator), repr(settings)]
        assert [secret for secret in secrets if any(secret in text for text in shown)] == []

    @pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
    async def test_a_header_may_be_spelt_in_any_case(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, spell: Callable[[str], str]
    ) -> None:
        identity = await authenticator.authenticate(good)
        assert identity is not None
        async with asking(running.kit, good.peer) as client:
            answer = await client.get("/lane/page", headers=as_sent(good, spell))
        assert answer.status_code == (200 if identity.may(NEEDED) else 403)
        assert NEEDED in answer.text

    async def test_a_lane_refuses_without_telling_why(
        self, running: Running, wrong: Caller, near_good: Sequence[Caller], secrets: Sequence[str]
    ) -> None:
        for caller in [wrong, *near_good]:
            if any(b"\0" in value for _, value in caller.headers):
                continue
            async with asking(running.kit, caller.peer) as client:
                answer = await client.get("/lane/page", headers=as_sent(caller, str.lower))
            assert answer.status_code in {401, 403}
            told = f"{answer.text}{answer.headers}"
            assert NEEDED not in told
            assert [secret for secret in secrets if secret in told] == []

    async def test_it_may_stop_and_start_again(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, wrong: Caller
    ) -> None:
        identity = await authenticator.authenticate(good)
        for _ in range(2):
            await running.stop()
            await running.start()
            assert await authenticator.authenticate(good) == identity
            assert isinstance(await verdict(authenticator, wrong), Rejected)


class OnePage(Feature[NoSettings]):
    """Something to guard; it names the permission it needs, as the refusal of somebody without it does."""

    def routes(self) -> Sequence[object]:
        return [get("/page", opt={"permission": NEEDED})(_page)]


async def _page() -> str:
    return NEEDED


async def verdict(authenticator: AnyAuthenticator, caller: Caller) -> Identity | Rejected | None:
    try:
        return await authenticator.authenticate(caller)
    except Rejected as rejected:
        return rejected


def answer_of(outcome: Identity | Rejected | None) -> object:
    """Everything of a rejection that its receiver can see."""
    assert isinstance(outcome, Rejected)
    shown = outcome.status, outcome.code, outcome.title, outcome.message
    return *shown, outcome.hint, outcome.param, outcome.headers


def chain_of(outcome: object) -> Iterator[BaseException]:
    """A rejection and whatever led to it, which a log might write too."""
    if isinstance(outcome, BaseException):
        yield outcome
        yield from chain_of(outcome.__cause__)
        yield from chain_of(outcome.__context__)


def ending_in(caller: Caller, change: Callable[[bytes], bytes]) -> Caller:
    return Caller([(name, change(value)) for name, value in caller.headers], caller.peer)


def as_sent(caller: Caller, spell: Callable[[str], str]) -> list[tuple[bytes, bytes]]:
    return [(spell(name.decode()).encode(), value) for name, value in caller.headers]
