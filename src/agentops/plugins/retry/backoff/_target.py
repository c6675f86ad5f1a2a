"""What is known of one target: how many second attempts it may still cost, and whether it is to be left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BUDGET_AT_FIRST: Final = 10.0
BUDGET_A_CALL: Final = 0.1
"""With the ten at first, a target that is wholly down is asked 1.2 times for each of a hundred calls, then less."""
BUDGET_MOST: Final = 100.0


class Target:
    """Counts in this process only. The breaker opens after so many faults in a row, and lets one try at a time then."""

    def __init__(self, faults: int, open_seconds: float, clock: Callable[[], float]) -> None:
        self._faults_most = faults
        self._open_seconds = open_seconds
        self._clock = clock
        self._budget = BUDGET_AT_FIRST
        self._faults = 0
        self._opened_at: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    def closed_for(self) -> float | None:
        """Seconds until it may be asked; nothing when it may be now, which then is this caller's to do."""
        if self._opened_at is None:
            return None
        left = self._opened_at + self._open_seconds - self._clock()
        if left > 0:
            return left
        if self._trying:
            return self._open_seconds
        self._trying = True
        return None

    def called(self) -> None:
        self._budget = min(BUDGET_MOST, self._budget + BUDGET_A_CALL)

    def may_be_asked_again(self) -> bool:
        """Take one second attempt from the budget."""
        if self.is_open or self._budget < 1:
            return False
        self._budget -= 1
        return True

    def answered(self) -> bool:
        """Whether this closes the breaker."""
        closes, self._faults, self._opened_at, self._trying = self.is_open, 0, None, False
        return closes

    def failed(self) -> bool:
        """Whether this opens the breaker, or opens it again."""
        self._faults += 1
        if not self._trying and (self.is_open or self._faults < self._faults_most):
            return False
        self._opened_at, self._trying = self._clock(), False
        return True

    def left(self) -> None:
        """The caller went away before there was an outcome; another may try."""
        self._trying = False
