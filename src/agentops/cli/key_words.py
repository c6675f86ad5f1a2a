"""Keys in words: as rows of a list, and in the sentences about one that was just made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentops.cli.allowances import limits_in_words
from agentops.cli.tables import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentops.accounts.keys import Key

HEADS: Final = (
    "id",
    "key",
    "name",
    "owner",
    "state",
    "made",
    "expires",
    "last used",
    "networks",
    "rates",
    "models",
    "permissions",
)


def row(key: Key) -> Sequence[str]:
    used = "never" if key.last_used_at is None else moment(key.last_used_at)
    times = moment(key.created_at), moment(key.expires_at), used
    return (
        key.id,
        f"{key.shown}…",
        key.name,
        key.owner,
        key.state,
        *times,
        ",".join(key.networks),
        ",".join(key.rates),
        "; ".join(limits_in_words(key.llm)),
        ",".join(key.permissions),
    )


def in_words(key: Key) -> str:
    rights = ", ".join(key.permissions) or "nothing"
    place = f", from {', '.join(key.networks)} only" if key.networks else ""
    rates = f", at most {' and '.join(key.rates)}" if key.rates else ""
    models = "".join(f", {words}" for words in limits_in_words(key.llm))
    until = moment(key.expires_at)
    told = f"{key.name!r} of {key.owner!r} in project {key.project!r}, good until {until}, for {rights}"
    return f"{told}{place}{rates}{models}"


def nothing_allowed(key: Key, registry: Iterable[str]) -> str:
    return (
        "it may do nothing, as no --permission was given, and a key is given none later. Revoke it by "
        f"`agentops keys revoke {key.id}`, and make one with a --permission for each thing it is to do: "
        f"{', '.join(sorted(registry))}."
    )
