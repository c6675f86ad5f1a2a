"""Lanes: a path, its own chain of authenticators, its own error style, and the features it serves."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from agentops.core.config.settings import ErrorStyle
from agentops.core.limits import LimitSettings
from agentops.core.ports.auth import Authenticator
from agentops.core.ports.feature import Feature
from agentops.core.problem import Problem, nearest

RESERVED: Final = ("/healthz", "/schema")
"""Paths at the root that belong to the server itself."""

_PATH: Final = re.compile(r"(/(?!\.\.?(/|\Z))[A-Za-z0-9._~-]+)+\Z")


@dataclass(frozen=True, slots=True)
class Lane:
    """The unit of isolation. `auth` names authenticators of the deployment, in the order they are asked."""

    path: str
    serve: Sequence[Feature]
    auth: Sequence[str] = ()
    errors: ErrorStyle = "problem"
    open: bool = False
    cors: Sequence[str] = ()
    limits: LimitSettings | None = None
    name: str = ""

    @property
    def key(self) -> str:
        """How a problem names this lane: its table, or what made it in Python."""
        return f"lanes.{self.name}" if self.name else f"Lane({self.path!r})"

    def is_unguarded(self, auth: Mapping[str, Authenticator]) -> bool:
        """Whether everybody may enter: no authenticator of its chain has anything to check against."""
        return not any(auth[name].armed for name in self.auth)

    def style_at(self, path: str) -> ErrorStyle:
        """How an error looks at one of its paths: as a feature says for what lies there, or else as the lane says."""
        below = path.removeprefix(self.path)
        named = [place for feature in self.serve for place in feature.error_styles.items() if holds(place[0], below)]
        return max(named, key=lambda place: len(place[0]))[1] if named else self.errors


def check_paths(lanes: Sequence[Lane]) -> Iterator[Problem]:
    """Say which lanes are at no path, or at one that belongs to something else."""
    for position, lane in enumerate(lanes):
        key = f"{lane.key}.path"
        if not _PATH.match(lane.path):
            yield _malformed(key, lane.path)
            continue
        for taken in RESERVED:
            if holds(taken, lane.path):
                yield Problem(
                    key,
                    f"{taken} belongs to the server itself",
                    "one of the two would never be reached",
                    "choose another path, such as /api",
                )
        for other in lanes[:position]:
            yield from _collisions(key, lane.path, other)


def check_serves(lane: Lane) -> Iterator[Problem]:
    """Say when a lane serves nothing, or one thing twice."""
    if not lane.serve:
        yield Problem(
            f"{lane.key}.serve",
            "nothing is served",
            "every request to this lane would be answered 404",
            'name a feature, such as serve = ["runs"]',
        )
    if len({id(feature) for feature in lane.serve}) < len(lane.serve):
        yield Problem(
            f"{lane.key}.serve",
            "a feature is named twice",
            "its routes would collide",
            "name each once",
        )
    yield from _check_styles(lane)


def _check_styles(lane: Lane) -> Iterator[Problem]:
    first_at: dict[str, tuple[str, ErrorStyle]] = {}
    for feature in lane.serve:
        name = type(feature).__name__
        for path, style in feature.error_styles.items():
            first, said = first_at.setdefault(path, (name, style))
            if said != style:
                yield Problem(
                    f"{lane.key}.serve",
                    f"{first} says that errors below {path} look like {said!r}, and {name} like {style!r}",
                    "clients of one of the two would not understand them",
                    "serve the two in lanes of their own",
                )


def check_chain(lane: Lane, known: Collection[str]) -> Iterator[Problem]:
    """Say which authenticators a lane names that are not there."""
    for name in lane.auth:
        if name not in known:
            yield Problem(
                f"{lane.key}.auth",
                f"no authenticator is called {name!r}",
                "every request would be refused",
                nearest(name, known) if known else f"add a table [auth.{name}]",
            )


def check_openness(
    lane: Lane, auth: Mapping[str, Authenticator], host: str, unset: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    """Say when everybody may enter a lane that should be guarded.

    `unset` holds, by authenticator, the optional variables and files that would have armed it.
    """
    if not all(name in auth for name in lane.auth) or not lane.is_unguarded(auth):
        return
    remedy = _how_to_guard(lane, unset)
    cause = "its authenticators have nothing to check against" if lane.auth else "it names no authenticator"
    closed = [type(feature).__name__ for feature in lane.serve if not feature.may_be_open]
    if closed:
        yield Problem(
            f"{lane.key}.auth",
            f"the lane is open, for {cause}, and serves {', '.join(closed)}, which may not be open",
            "anybody who reaches it could take the deployment over",
            remedy,
        )
    if not lane.open and not is_loopback(host):
        if not closed:
            remedy += ", listen on 127.0.0.1, or say `open = true` in this lane if everybody may"
        yield Problem(
            f"{lane.key}.auth",
            f"the lane is open, for {cause}, and {host or 'every address'} can be reached by others",
            "anybody who finds it could read and write everything in it",
            remedy,
        )


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _how_to_guard(lane: Lane, unset: Mapping[str, Sequence[str]]) -> str:
    if not lane.auth:
        return 'name one in `auth = ["…"]`'
    places = [place for name in lane.auth for place in unset.get(name, ())]
    if places:
        return f"set {' or '.join(places)}"
    return f"give {' or '.join(repr(name) for name in lane.auth)} something to check against"


def _malformed(key: str, path: str) -> Problem:
    if path == "/":
        what, why = "a lane cannot be the root", f"{' and '.join(RESERVED)} are there"
    else:
        what = f"{path!r} is not a path for a lane"
        why = "it is compared with the start of every request's path, as it stands"
    wanted = f"/{'/'.join(re.findall(r'[A-Za-z0-9_~-][A-Za-z0-9._~-]*', path)) or 'api'}"
    return Problem(key, what, why, f"write {wanted!r}: a slash and a name, once or more, none at the end")


def _collisions(key: str, path: str, other: Lane) -> Iterator[Problem]:
    if path == other.path:
        yield Problem(
            key,
            f"{other.key} is at {path} too",
            "only one of them could be reached",
            "give each lane a path of its own",
        )
    elif holds(other.path, path) or holds(path, other.path):
        inner, outer = (path, other.path) if holds(other.path, path) else (other.path, path)
        yield Problem(
            key,
            f"{inner} lies inside {outer}, and {other.key} is the other of the two",
            "a request could pass the wrong lane's authenticators",
            f"put them side by side, such as {outer}/a and {outer}/b",
        )


def holds(outer: str, inner: str) -> bool:
    """Whether a path is the other one, or lies below it."""
    return inner == outer or inner.startswith(f"{outer}/")
