"""Why a token is not taken. Told to telemetry, in words of our own, and never to who sent it."""

from __future__ import annotations

from typing import Self


class Unfit(Exception):
    """The token is refused; `reason` quotes nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def without_frames(self) -> Self:
        """The same, to be handed on as a value: the frames it came through hold the token, and often each other."""
        return self.with_traceback(None)


class NotOurs(Unfit):
    """The token is of an issuer that is not known here."""
