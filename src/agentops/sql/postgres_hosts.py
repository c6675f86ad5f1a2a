"""The servers that one address of a Postgres names, in the ways that libpq has for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOST: Final = re.compile(r"\[(?P<bracketed>[^\]]*)\](?::(?P<port6>[^:]*))?|(?P<name>/.*|[^:]*)(?::(?P<port>[^:]*))?")


class Host(NamedTuple):
    name: str
    port: int


class Named(NamedTuple):
    """What an address says of where to go."""

    hosts: Sequence[Host]
    database: str
    wanted: str
    """Its `target_session_attrs`: which of several servers will do."""


def named_in(url: str) -> Named:
    """Raises `ValueError` for what is no address."""
    parts = urlsplit(url.partition("#")[0])
    query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    names = _split(unquote(parts.netloc.rpartition("@")[2])) or _split(",".join(query.get("host", [])))
    ports = _split(",".join(query.get("port", [])))
    if len(ports) not in {0, 1, len(names)}:
        raise ValueError("as many ports as hosts are needed, or one")
    hosts = [_host(name, ports[place % len(ports)] if ports else "") for place, name in enumerate(names)]
    database = (query.get("dbname") or query.get("database") or [unquote(parts.path[1:])])[0]
    return Named(hosts, database, query.get("target_session_attrs", [""])[0])


def _split(text: str) -> Sequence[str]:
    return text.split(",") if text else []


def _host(text: str, port: str) -> Host:
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError("a host is a name, an address, or a folder, with a port behind a colon")
    name = found["bracketed"] or found["name"] or "localhost"
    return Host(name, int(found["port"] or found["port6"] or port or 5432))
