"""What a call wants of the purses, and why it cannot have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentops.core.errors import Refusal


class Want(NamedTuple):
    """What a call needs of one purse, in the period that `period` names.

    `size` is the limit as it is now; without one, the row's holds, as of credits. A call that names no bound may say
    the `least` that is enough for it: it then gets what is left, if nobody else holds any of it. One that `waits` gets
    in line where there may be room once calls under way have ended; `refusal` makes what it is told where there is
    none.
    """

    purse: str
    period: int
    amount: int
    size: int | None
    refusal: Callable[[], Refusal]
    least: int | None = None
    waits: bool = False


class Held(NamedTuple):
    """What a call holds of a purse, and in which period it was wanted."""

    period: int
    amount: int


class PurseState(NamedTuple):
    """How a purse stands."""

    period: int
    size: int
    spent: int
    held: int


class Verdict(NamedTuple):
    """What became of a want: it fits, may have less, has to wait, or never fits."""

    outcome: Literal["fits", "less", "wait", "never"]
    amount: int


def judged(want: Want, states: Mapping[str, PurseState]) -> Verdict:
    state = states.get(want.purse)
    if state is None:
        room, held = want.size or 0, 0
    else:
        size = state.size if want.size is None else want.size
        room, held = size - (state.spent if state.period >= want.period else 0), state.held
    if want.amount + held <= room:
        return Verdict("fits", want.amount)
    enough = want.amount if want.least is None else min(want.least, want.amount)
    if enough > room:
        return Verdict("never", 0)
    if not held:
        return Verdict("less", room)
    return Verdict("wait" if want.waits else "never", 0)
