"""Who is let in, who is refused, and who is left to the next in the chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pytest

from agentops.core.errors import Rejected
from agentops.core.identity import Identity
from agentops.core.permissions import is_permission
from agentops.core.ports.auth import Caller
from agentops.testing._auth.base import (
    ENDINGS,
    NEEDED,
    UNRELATED,
    AnyAuthenticator,
    AuthTests,
    Change,
    answer_of,
    as_sent,
    changed,
    verdict,
)
from agentops.testing._running import Running, asking

SPELLINGS: Final[dict[str, Callable[[str], str]]] = {"lower": str.lower, "upper": str.upper, "title": str.title}


class VerdictContract(AuthTests):
    """The three outcomes."""

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
        self, running: Running, authenticator: AnyAuthenticator, wrong: Caller, change: Change
    ) -> None:
        first, other = await verdict(authenticator, wrong), await verdict(authenticator, changed(wrong, change))
        assert other is None or answer_of(other) == answer_of(first)

    async def test_nearly_the_good_credential_gets_the_same_answer(
        self, running: Running, authenticator: AnyAuthenticator, wrong: Caller, near_good: Sequence[Caller]
    ) -> None:
        first = answer_of(await verdict(authenticator, wrong))
        for caller in near_good:
            other = await verdict(authenticator, caller)
            assert other is None or answer_of(other) == first, caller

    async def test_a_header_sent_twice_is_rejected(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, wrong: Caller
    ) -> None:
        for other in (good, wrong):
            for headers in ([*good.headers, *other.headers], [*other.headers, *good.headers]):
                if good.headers:
                    rejected = await verdict(authenticator, Caller(headers, good.peer))
                    assert isinstance(rejected, Rejected)

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
