"""The moment in which a server begins to stop, for whoever has something to bring to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Draining:
    """Tells each that asked, once."""

    def __init__(self) -> None:
        self._begun = False
        self._tell: set[Callable[[], None]] = set()

    def tell(self, begin: Callable[[], None]) -> Callable[[], None]:
        """Call `begin` when it begins, or now if it has; return what is called to be told no more."""
        if self._begun:
            begin()
        else:
            self._tell.add(begin)
        return lambda: self._tell.discard(begin)

    def begin(self) -> None:
        self._begun = True
        while self._tell:
            self._tell.pop()()
