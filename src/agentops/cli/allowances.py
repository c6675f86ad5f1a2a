"""What a key may ask of models, as the command line takes it and tells of it: money in dollars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentops.core.allowance import Allowance

_COUNTED: Final[Mapping[str, str]] = {
    "requests_per_minute": "{} requests a minute",
    "tokens_per_minute": "{} tokens a minute",
    "parallel": "{} at once",
}
_PAID: Final[Mapping[str, str]] = {
    "budget_day": "${} a day",
    "budget_month": "${} a month",
    "cost_per_call": "${} a call",
}
_MODELS: Final = "models"


def allowance_from(given: Sequence[str]) -> Allowance | None:
    """What `--llm` says, all mistakes at once; nothing if it is not given."""
    import msgspec

    from agentops.core.allowance import Allowance
    from agentops.core.problem import ConfigurationError, Problem

    problems: list[Problem] = []
    values: dict[str, object] = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            values[name] = _read(name, value, values)
            msgspec.convert({name: values[name]}, Allowance)
        except (ValueError, msgspec.ValidationError) as error:
            said = str(error).partition(" - at ")[0]
            problems.append(Problem("--llm", f"{text[:80]!r}", said, ""))
    if problems:
        raise ConfigurationError(problems)
    return msgspec.convert(values, Allowance) if values else None


def limits_in_words(allowance: Allowance | None) -> Iterator[str]:
    if allowance is None:
        return
    from agentops.core.dollars import in_dollars

    if allowance.models:
        yield f"models {' and '.join(allowance.models)} only"
    limits: dict[str, Any] = {name: getattr(allowance, name) for name in (*_COUNTED, *_PAID)}
    yield from (words.format(limits[name]) for name, words in _COUNTED.items() if limits[name] is not None)
    yield from (words.format(in_dollars(limits[name])) for name, words in _PAID.items() if limits[name] is not None)


def _read(name: str, value: str, before: Mapping[str, object]) -> object:
    from agentops.core.dollars import micro_of
    from agentops.core.problem import nearest

    if name in before:
        raise ValueError("this limit is given twice")
    if name == _MODELS:
        return value.split(",")
    if name in _PAID:
        return micro_of(value)
    if name not in _COUNTED:
        raise ValueError(f"there is no limit {name!r}; {nearest(name, (_MODELS, *_COUNTED, *_PAID))}")
    if not (value.isascii() and value.isdigit()) or len(value) > 16:
        raise ValueError("a whole number is expected")
    return int(value)
