"""What nobody may read: the credential that was presented, and what it was compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from agentops.core.ports.auth import Caller
from agentops.testing._auth.base import NEEDED, AnyAuthenticator, AuthTests, as_sent, verdict
from agentops.testing._running import Running, asking


class SecrecyContract(AuthTests):
    """Nothing secret is shown, and no reason is given."""

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

    async def test_an_identity_holds_no_secret(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, secrets: Sequence[str]
    ) -> None:
        shown = repr(await authenticator.authenticate(good))
        assert [secret for secret in secrets if secret in shown] == []

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


def chain_of(outcome: object) -> Iterator[BaseException]:
    """A rejection and whatever led to it, which a log might write too."""
    if isinstance(outcome, BaseException):
        yield outcome
        yield from chain_of(outcome.__cause__)
        yield from chain_of(outcome.__context__)
