"""The names of purses, which say what each is a limit of, and the periods that their amounts are of."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from agentops.core.records import DAY_MS

MINUTE_MS: Final = 60_000
FOR_EVER: Final = 0
"""The period of a purse that never begins anew."""

CREDITS: Final = "credits:"
"""Before whose they are."""


def of_key(key: str, what: str) -> str:
    """One of a key's: its money of a `day` or `month`, its `tokens` or `requests` of a minute, its `parallel` calls."""
    return f"key:{key}:{what}"


def of_project(project: str, what: str) -> str:
    """A project's money of a `day` or a `month`."""
    return f"project:{project}:{what}"


def of_credits(project: str, subject: str) -> str:
    """A user's credits."""
    return f"{CREDITS}{_of(project, subject)}"


def caller(project: str, subject: str) -> str:
    """In the place of a key's name, for whoever came without one."""
    return f"caller:{_of(project, subject)}"


def _of(project: str, subject: str) -> str:
    return f"{project.replace('%', '%25').replace('/', '%2F')}/{subject}"


def whose_credits(purse: str) -> tuple[str, str] | None:
    """The project and the subject, if these are somebody's credits."""
    if not purse.startswith(CREDITS):
        return None
    project, _, subject = purse.removeprefix(CREDITS).partition("/")
    return project.replace("%2F", "/").replace("%25", "%"), subject


def is_money(purse: str) -> bool:
    return purse.endswith((":day", ":month")) or purse.startswith(CREDITS)


def minute(now_ms: int) -> int:
    """The minute, as a period."""
    return now_ms // MINUTE_MS


def day(now_ms: int) -> int:
    """The day in UTC, as a period: 20260131."""
    return int(day_named(now_ms).replace("-", ""))


def month(now_ms: int) -> int:
    """The month in UTC, as a period: 202601."""
    return day(now_ms) // 100


def day_named(now_ms: int) -> str:
    """The day in UTC, as people write it."""
    return _day_named(now_ms // DAY_MS)


@lru_cache(maxsize=8)
def _day_named(number: int) -> str:
    return datetime.fromtimestamp(number * DAY_MS / 1000, UTC).date().isoformat()
