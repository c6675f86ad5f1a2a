"""The two clocks by which tokens and keys grow old."""

from __future__ import annotations

import time


class Clock:
    """Tests put another in its place."""

    def now(self) -> float:
        """Seconds since the epoch, as in `exp`."""
        return time.time()

    def steady(self) -> float:
        """Seconds since some moment; nobody sets this clock back."""
        return time.monotonic()
