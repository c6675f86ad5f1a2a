"""What stays true while it runs: for many callers at once, after thousands of wrong ones, and after a restart."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from typing import ClassVar

from agentops.core.errors import Rejected
from agentops.core.ports.auth import Caller
from agentops.core.ports.withdrawal import Rechecks
from agentops.testing._auth.base import UNRELATED, AnyAuthenticator, AuthTests, answer_of, verdict
from agentops.testing._running import Running


class LastingContract(AuthTests):
    """Neither time nor numbers change a verdict."""

    many: ClassVar[int] = 1_000
    """Wrong credentials in a round of the test below; fewer for an authenticator that takes its time."""
    may_grow_by: ClassVar[int] = 32 * 1024
    """Bytes: enough for what an interpreter does, and not for a note on each of `many`."""

    async def test_many_at_once_are_not_mixed_up(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, wrong: Caller
    ) -> None:
        identity, rejected = await verdict(authenticator, good), await verdict(authenticator, wrong)
        callers = [good, wrong, Caller(UNRELATED, good.peer)] * 40
        verdicts = await asyncio.gather(*(verdict(authenticator, caller) for caller in callers))
        assert verdicts[0::3] == [identity] * 40
        assert [answer_of(each) for each in verdicts[1::3]] == [answer_of(rejected)] * 40
        assert verdicts[2::3] == [None] * 40

    async def test_wrong_credentials_are_not_kept(
        self, running: Running, authenticator: AnyAuthenticator, many_wrong: Callable[[int], Caller]
    ) -> None:
        """The first round may fill a cache that is bounded; a cache of more than `many` needs a smaller bound here."""
        tracemalloc.start()
        try:
            taken: list[int] = []
            for first in (0, self.many):
                for number in range(first, first + self.many):
                    assert isinstance(await verdict(authenticator, many_wrong(number)), Rejected | None)
                gc.collect()
                taken.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert taken[1] - taken[0] < self.may_grow_by

    async def test_what_it_vouches_for_is_not_withdrawn(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller
    ) -> None:
        identity = await authenticator.authenticate(good)
        assert identity is not None
        if isinstance(authenticator, Rechecks):
            assert list(await authenticator.withdrawn([])) == []
            assert list(await authenticator.withdrawn([identity])) == []

    async def test_it_may_stop_and_start_again(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, wrong: Caller
    ) -> None:
        identity = await authenticator.authenticate(good)
        for _ in range(2):
            await running.stop()
            await running.start()
            assert await authenticator.authenticate(good) == identity
            assert isinstance(await verdict(authenticator, wrong), Rejected)
