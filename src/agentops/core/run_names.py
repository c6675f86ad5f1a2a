"""What a run may be called, wherever a caller names one."""

from __future__ import annotations

import re
from typing import Final

from agentops.core.errors import BadRequest

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffd]")
"""U+FFFD stands where a path was not UTF-8, so that many names would become one."""


def checked_run_name(name: str) -> str:
    """Anything that can be read, in a path or a line of a log."""
    if not 1 <= len(name) <= 200:
        raise BadRequest("a run's id has 1 to 200 characters", code="invalid_run_id")
    if _UNPRINTABLE.search(name):
        raise BadRequest(
            "a run's id may not hold control characters, line breaks or what is not UTF-8", code="invalid_run_id"
        )
    return name
