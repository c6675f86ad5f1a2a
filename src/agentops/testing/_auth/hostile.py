"""Values that no honest client sends: each is judged, and none of them makes the authenticator fail."""

from __future__ import annotations

from typing import Final

import pytest

from agentops.core.identity import Identity
from agentops.core.ports.auth import Caller
from agentops.testing._auth.base import AnyAuthenticator, AuthTests, Change, changed, verdict
from agentops.testing._running import Running

LONG: Final = 65_536

NOTHING: Final[dict[str, Change]] = {
    "empty": lambda _: b"",
    "blank": lambda _: b" \t ",
}
HOSTILE: Final[dict[str, Change]] = {
    "64-kb-of-letters": lambda _: b"a" * LONG,
    "64-kb-of-dots": lambda _: b"." * LONG,
    "64-kb-of-brackets": lambda _: b"[" * LONG,
    "64-kb-of-it": lambda value: (value * LONG)[:LONG],
    "64-kb-behind": lambda value: value + b"a" * LONG,
    "64-kb-in-front": lambda value: b"a" * LONG + value,
    "not-ascii": lambda _: "é愛".encode(),
    "not-ascii-in-front": lambda value: b"\xe9" + value,
    "not-utf-8": lambda _: b"\xff\xfe\xc0\x80\xed\xa0\x80",
    "nul": lambda _: b"\0",
    "nul-in-front": lambda value: b"\0" + value,
    "nul-inside": lambda value: value[:1] + b"\0" + value[1:],
    "nul-behind": lambda value: value + b"\0",
    "line-break-inside": lambda value: value[:1] + b"\r\n" + value[1:],
}
BLANKS_AROUND: Final[dict[str, Change]] = {
    "space-behind": lambda value: value + b" ",
    "spaces-and-tabs-behind": lambda value: value + b" \t \t",
    "space-in-front": lambda value: b" " + value,
    "tab-in-front": lambda value: b"\t" + value,
}


class HostileContract(AuthTests):
    """`None`, an identity that can be written down, or `Rejected`; never another exception."""

    @pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
    async def test_an_empty_value_lets_nobody_in(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, change: Change
    ) -> None:
        if good.headers:
            assert not isinstance(await verdict(authenticator, changed(good, change)), Identity)

    @pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
    async def test_a_hostile_value_is_judged(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, wrong: Caller, change: Change
    ) -> None:
        assert not isinstance(await verdict(authenticator, changed(wrong, change)), Identity)
        outcome = await verdict(authenticator, changed(good, change))
        if isinstance(outcome, Identity):
            assert outcome.subject.isprintable(), "a subject is written to logs and to the database"
            assert outcome.project.isprintable()

    @pytest.mark.parametrize("change", BLANKS_AROUND.values(), ids=BLANKS_AROUND)
    async def test_white_space_around_a_credential_makes_nobody_else_of_it(
        self, running: Running, authenticator: AnyAuthenticator, good: Caller, wrong: Caller, change: Change
    ) -> None:
        """HTTP says that it is not part of the value, so to take it off is right, and to refuse it is safe."""
        outcome = await verdict(authenticator, changed(good, change))
        if isinstance(outcome, Identity):
            assert outcome == await authenticator.authenticate(good)
        assert not isinstance(await verdict(authenticator, changed(wrong, change)), Identity)
