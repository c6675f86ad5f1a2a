"""What may stand in a header that we send: nothing that could be read as another header, or as another request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentops.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agentops.core.secret import Secret

FRAMING: Final = frozenset(
    {"connection", "content-length", "content-type", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Those that say how the rest is to be read."""

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")


def is_fit(name: str, value: str) -> bool:
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None


def wrong_headers(headers: Mapping[str, Secret], ours: Collection[str]) -> Iterator[Problem]:
    """None of them says what a header holds. `ours` are those that are not to be set, in lower case."""
    for name, value in headers.items():
        if name.lower() in ours or _NAME.fullmatch(name) is None:
            yield Problem(
                f"headers.{name}",
                "this header cannot be set",
                "it is no name of a header, or it is one that says how the rest is to be read",
                "remove it",
            )
        elif _VALUE.fullmatch(value.reveal()) is None:
            yield Problem(
                f"headers.{name}",
                "what it holds cannot stand in a header",
                "who is asked would read another request than the one that was meant",
                "write printable ASCII on one line, with no space around it",
            )
