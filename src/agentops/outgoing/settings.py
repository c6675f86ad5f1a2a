"""What can be said of a provider in the configuration, whatever it speaks, and what can be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from agentops.core.plugin import Settings
from agentops.core.problem import Problem
from agentops.core.secret import Secret
from agentops.outgoing.headers import FRAMING, is_fit, wrong_headers
from agentops.outgoing.place import NotAPlace, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OURS: Final = FRAMING | {"accept", "accept-encoding", "user-agent"}
_OF_KEYS: Final = frozenset({"authorization", "api-key", "x-api-key"})

Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class ProviderSettings(Settings):
    """The base of the settings of every provider that is asked over HTTP."""

    base_url: str
    """Where the provider is; what its API names is added to it. No caller can choose another."""
    key: Secret | None = None
    """This deployment's own key at the provider."""
    own_keys: bool = True
    """Whether users may bring keys of their own; false for a provider that checks none, or nobody would be charged."""
    headers: dict[str, Secret] = {}
    """Sent with every call."""
    authorities: str = ""
    """A file of PEM with the authorities whose certificates are believed, in place of those of this machine."""
    connections: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    """How many calls may be under way at once; more wait for their turn."""
    connect_seconds: Annotated[float, Meta(gt=0, le=300)] = 10.0
    """How long to wait for one's turn and a connection."""
    first_byte_seconds: Seconds = 600.0
    """How long the provider may take to begin its answer; one that is not streamed begins when it is whole."""
    idle_seconds: Seconds = 300.0
    """How long an answer that has begun may be silent."""
    total_seconds: Seconds = 1_800.0
    """How long a call may take."""
    answer_bytes: Annotated[int, Meta(ge=1_024, le=1 << 31)] = 64 << 20
    """What an answer that is not streamed may be long."""


def wrong_settings(settings: ProviderSettings) -> Iterator[Problem]:
    """Nothing that is wrong is quoted: it may hold a credential."""
    yield from _wrong_address(settings.base_url)
    yield from wrong_headers(settings.headers, _OURS)
    yield from _keys_among_headers(settings.headers)
    if settings.key is not None and not is_fit("key", settings.key.reveal()):
        yield Problem(
            "key",
            "this cannot be sent as a key",
            "it is empty, or holds what cannot stand in a header",
            "write the key as the provider gave it, without line breaks or spaces around it",
        )
    if settings.authorities and not Path(settings.authorities).is_file():
        yield Problem(
            "authorities",
            "there is no such file",
            "without it no certificate would be believed",
            "name a file of PEM, or remove the setting to believe what this machine believes",
        )


def _keys_among_headers(headers: Mapping[str, Secret]) -> Iterator[Problem]:
    for name in headers:
        if name.lower() in _OF_KEYS:
            yield Problem(
                f"headers.{name}",
                "a key stands here",
                "it would be sent beside the key of a user who brings one, whose calls cost you nothing",
                "write it as `key`",
            )


def _wrong_address(url: str) -> Iterator[Problem]:
    try:
        place_of(url)
    except NotAPlace as reason:
        yield Problem(
            "base_url",
            f"this is no address of a provider: {reason}",
            "nothing could be asked there",
            'write it as "https://api.example.com/v1", and a credential as `key` or in `headers`',
        )
    else:
        if "?" in url or "#" in url:
            yield Problem(
                "base_url",
                "there is more in it than where the provider is",
                "what its API names is added at the end",
                "take away what follows the ? or #",
            )
