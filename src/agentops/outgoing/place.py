"""A URL in its parts, before anybody was asked where its host is."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit

URL_MOST: Final = 2_000

_PORTS: Final = {"http": 80, "https": 443}


class NotAPlace(ValueError):
    """Nothing can be sent there; the text says why, and does not quote it."""


class Place(NamedTuple):
    tls: bool
    host: str
    port: int
    authority: str
    path: str


def place_of(url: str) -> Place:
    """Take apart what somebody wants called, or say what is wrong with it."""
    if len(url) > URL_MOST or not url.isascii() or any(letter <= " " or letter == "\x7f" for letter in url):
        raise NotAPlace(f"it is not a URL of at most {URL_MOST} plain characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotAPlace("it is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise NotAPlace("it does not begin with https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise NotAPlace("it holds a name or a password, which would be shown to whoever lists it")
    path = parts.path or "/"
    return Place(
        tls=parts.scheme == "https",
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        authority=parts.netloc,
        path=f"{path}?{parts.query}" if parts.query else path,
    )
