"""How commands reach a running server over HTTP: its address, a key to it, and why it could not be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from http.client import HTTPConnection


def checked_url(url: str, *, like: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise click.UsageError("--url holds a name or a password, which would be sent nowhere: give a key with --key")
    try:
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise click.UsageError(f"--url {url!r} is no address: write it like {like}")
    return url.rstrip("/")


def checked_key(key: str | None) -> str | None:
    if key and not (key.isascii() and key.isprintable()):
        raise click.UsageError("the key holds characters that a header cannot carry")
    return key


def url_at(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def dialled(host: str) -> str:
    """What this machine calls to reach whatever listens at that host, which may be every address."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound, called


def connection_to(url: str, seconds: float) -> HTTPConnection:
    """A connection that is not made yet; `seconds` is what each wait on it may take."""
    import http.client

    base = urlsplit(url)
    kind = http.client.HTTPSConnection if base.scheme == "https" else http.client.HTTPConnection
    return kind(base.hostname or "", base.port, timeout=seconds)


def reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror[:1].lower()}{error.strerror[1:]}"
    return "the connection broke off"
