"""What a command says when it fails, and the code that it exits with."""

from __future__ import annotations

import errno
from typing import IO, TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERRUPTED: Final = 130

_PASSING: Final = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.EADDRINUSE}


class Failure(click.ClickException):
    """What was given is wrong: configuration, file, run or key."""

    exit_code = 1


class NotNow(Failure):
    """What the command needs cannot be had now; the same command may succeed later."""

    exit_code = 3


class Mistakes(Failure):
    """Mistakes of a configuration, each a line that begins with its place."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


def explain(error: BaseException) -> Failure:
    """Turn whatever was raised into the one sentence that helps."""
    from agentops.core.discovery import where_raised
    from agentops.core.errors import AgentopsError, Refusal, StartError, Unavailable
    from agentops.core.problem import ConfigurationError

    cause = next(iter(sorted(_leaves(error), key=lambda leaf: not isinstance(leaf, AgentopsError))))
    match cause:
        case Failure():
            return cause
        case ConfigurationError():
            return Mistakes(str(cause))
        case Unavailable() | StartError():
            return NotNow(str(cause))
        case Refusal():
            return Failure(cause.message or cause.title)
        case OSError(strerror=str(strerror), errno=number, filename=filename):
            said = f"{strerror[:1].lower()}{strerror[1:]}"
            sentence = said if filename is None else f"{str(filename)!r}: {said}"
            return NotNow(sentence) if number in _PASSING else Failure(sentence)
        case _:
            return Failure(f"this was not foreseen: {where_raised(cause)}; --debug shows everything")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """A server starts its parts inside groups of tasks, which wrap what was raised in them."""
    members: Sequence[BaseException] | None = getattr(error, "exceptions", None)
    if members is None:
        yield error
    for member in members or ():
        yield from _leaves(member)
