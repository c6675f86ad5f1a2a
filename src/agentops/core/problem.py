"""What is wrong with a configuration, said so that the reader can mend it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from agentops.core.errors import AgentopsError
from agentops.core.masking import masked_in_ours, masked_in_strangers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, what it is, why it matters and the nearest right thing."""

    key: str
    what: str
    why: str
    remedy: str
    source: str = ""

    def __str__(self) -> str:
        said = "; ".join(part for part in (self.what, self.why, self.remedy) if part)
        return _one_line(": ".join(part for part in (self.source, self.key, said) if part))

    def within(self, table: str) -> Problem:
        """The same mistake, its key relative to a table that holds it."""
        return replace(self, key=".".join(part for part in (table, self.key) if part))

    def without(self, secrets: Collection[str]) -> Problem:
        """The same mistake, should a secret have slipped into the words of a plugin that found it."""
        return self._said(lambda text: masked_in_strangers(text, secrets))

    def without_values(self, secrets: Collection[str]) -> Problem:
        """The same mistake in words of our own, should one of the values that they show be a secret too."""
        return self._said(lambda text: masked_in_ours(text, secrets))

    def _said(self, say: Callable[[str], str]) -> Problem:
        return replace(self, what=say(self.what), why=say(self.why), remedy=say(self.remedy))


class ConfigurationError(AgentopsError):
    """Everything that was found wrong, at once; nothing was started."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(name: str, known: Iterable[str]) -> str:
    """Name the known word that was probably meant, or list them all."""
    names = sorted(known)
    close = closest(name, names)
    if close is not None:
        return f"did you mean {close!r}?"
    return f"known here: {', '.join(names)}" if names else "nothing is known here"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if any is near enough."""
    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=0.5)), None)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in " ".join(text.split()))
