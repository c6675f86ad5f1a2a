"""Whether a secret is the one that was hashed: asked of argon2 once, and then remembered.

Under a key of this process, so that its memory holds no list of secrets; and with the hash, so that another one
in the row is another question.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections import OrderedDict
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from agentops.accounts.hashing import matches
from agentops.accounts.throttle import Throttle
from agentops.core.forever import ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agentops.core.signals import Signals
    from agentops.plugins.auth.hashed_keys._rows import Row

PROOFS_MOST: Final = 10_000
"""Those that were not used for the longest time are forgotten first."""
WRONG_MOST: Final = 10
WRONG_SECONDS: Final = 60.0
"""Wrong secrets for one key in a window, before they are refused unhashed."""


class Proofs:
    """Those who ask the same at once share one answer.

    Whoever knows the look-up id of a key, which is a part of its text, can use up its window with wrong secrets. A key
    that was proved works on meanwhile; one that was not is refused until the window has passed. It is told, so that
    the key is rotated: the new one has another look-up id.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._process_key = os.urandom(32)
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[bool]] = {}
        self._wrong = Throttle(WRONG_MOST, WRONG_SECONDS)
        self._told = Throttle(1, WRONG_SECONDS)

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await ended(*self._asking.values())

    def knows(self, lookup: str) -> bool:
        """Whether a secret for it was proved lately."""
        return lookup in self._known

    async def proves(self, row: Row, secret: str) -> bool:
        proof = blake2b(f"{row.hash}\0{secret}".encode(), key=self._process_key, digest_size=32).digest()
        known = self._known.get(row.lookup)
        if known is not None and hmac.compare_digest(known, proof):
            self._known.move_to_end(row.lookup)
            return True
        task = self._asking.get(proof)
        if task is None:
            if not self._may_be_asked(row.id):
                return False
            task = asyncio.create_task(self._ask(row, secret, proof))
            self._asking[proof] = task
            task.add_done_callback(lambda done: self._answered(proof, done))
        return await asyncio.shield(task)

    def _may_be_asked(self, key_id: str) -> bool:
        """If not, it is told once a window, however many wrong secrets there are."""
        if self._wrong.admits(key_id):
            return True
        if self._told.admits(key_id):
            self._signals.event(
                "key.guessed",
                "warning",
                key=key_id,
                meaning="somebody knows a part of this key and sends it with wrong secrets; rotate it",
            )
        return False

    async def _ask(self, row: Row, secret: str, proof: bytes) -> bool:
        try:
            right = await matches(row.hash, secret)
        except BaseException:
            self._wrong.give_back(row.id)
            raise
        if right:
            self._wrong.give_back(row.id)
            self._known[row.lookup] = proof
            if len(self._known) > PROOFS_MOST:
                self._known.popitem(last=False)
        return right

    def _answered(self, proof: bytes, task: asyncio.Task[bool]) -> None:
        """What nobody waits for any more is looked at all the same, else it would be told as forgotten."""
        del self._asking[proof]
        if not task.cancelled():
            task.exception()
