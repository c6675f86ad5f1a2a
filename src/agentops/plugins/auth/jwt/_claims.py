"""What a token claims: from when until when it holds, for whom it was made, and what its bearer is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from agentops.plugins.auth.jwt._unfit import Unfit

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentops.plugins.auth.jwt._encoding import JsonObject

LARGEST: Final = 2**53
"""A number beyond is none that every language could have meant."""

LONGEST_NAME: Final = 200


class Lifetime(NamedTuple):
    """The leeway is in it already."""

    starts: float
    ends: float


def lifetime(claims: JsonObject, leeway: float, now: float) -> Lifetime:
    """Return when the token holds, which must be now, or raise `Unfit`."""
    expires = _moment(claims, "exp")
    if expires is None:
        raise Unfit("it has no `exp`")
    begins = [moment - leeway for name in ("nbf", "iat") if (moment := _moment(claims, name)) is not None]
    found = Lifetime(max(begins, default=-LARGEST), expires + leeway)
    if now >= found.ends:
        raise Unfit("it has expired")
    if now < found.starts:
        raise Unfit("it does not hold yet")
    return found


def require_audience(claims: JsonObject, ours: Collection[str]) -> None:
    """Refuse what was made for others; RFC 7519, section 4.1.3, also when it is not said here who we are."""
    if "aud" not in claims and not ours:
        return
    said = claims.get("aud")
    audience = cast("list[object]", said if isinstance(said, list) else [said])
    if not all(isinstance(each, str) for each in audience) or not any(each in ours for each in audience):
        raise Unfit("it is for another audience")


def name(claims: JsonObject, claim: str) -> str | None:
    """Return a text that can be stored and shown as it is; `None` if there is no such claim."""
    return _name(claims[claim]) if claim in claims else None


def subject(claims: JsonObject, candidates: Collection[str]) -> str:
    """Return the first of several claims that is there, where a whole number may stand for a name as well."""
    claim = next((each for each in candidates if each in claims), None)
    if claim is None:
        raise Unfit("it names no subject")
    value = claims[claim]
    return _name(str(value) if _is_whole_number(value) else value)


def words(claims: JsonObject, claim: str) -> list[str] | None:
    """Return a list of texts, which may be written as one with blanks; `None` if there is no such claim."""
    if claim not in claims:
        return None
    value = claims[claim]
    if isinstance(value, str):
        return value.split(" ")
    if not isinstance(value, list) or not all(isinstance(each, str) for each in cast("list[object]", value)):
        raise Unfit("its permissions are no texts")
    return cast("list[str]", value)


def _moment(claims: JsonObject, claim: str) -> float | None:
    """Return seconds since the epoch; `None` if there is no such claim."""
    if claim not in claims:
        return None
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise Unfit("a moment in it is none")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not _is_presentable(value):
        raise Unfit("a name in it is none")
    return value


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_presentable(text: str) -> bool:
    """No control characters, NUL and lone surrogates among them, and no blanks around it that nobody sees."""
    return 0 < len(text) <= LONGEST_NAME and text.isprintable() and text == text.strip()
