"""Where a delivery may go: an address in public, found by name, checked, and then used as it was checked.

Whoever subscribes names an address that this server calls from inside its network. Without a check that would open
every service there that trusts its neighbours, and the credentials of the cloud's own (169.254.169.254).
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Final, NamedTuple

from agentops.core.addresses import plain_address
from agentops.core.resolving import Resolver
from agentops.outgoing.place import NotAPlace, Place
from agentops.outgoing.place import place_of as plain_place_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentops.core.addresses import Address, Network

LOOKUP_SECONDS: Final = 5.0

_PROTOCOLS: Final = IPv4Network("192.0.0.0/24")
"""Where clouds have put their own services too; not every Python knows that it is not public."""
_PUBLIC_IPV6: Final = IPv6Network("2000::/3")
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_6TO4: Final = IPv6Network("2002::/16")


class NotAllowed(Exception):
    """Nothing may be sent there; the text says why."""


class Target(NamedTuple):
    """A place, and the one address to connect to, however often its name is asked again."""

    address: str
    place: Place


def place_of(url: str) -> Place:
    """Take apart what somebody wants called, or say what is wrong with it."""
    try:
        return plain_place_of(url)
    except NotAPlace as reason:
        raise NotAllowed(str(reason)) from None


async def find(place: Place, allowed: Collection[Network]) -> Target:
    """Ask where the host is, and refuse when any answer is no public address and none of those allowed.

    Plain http is for the allowed ones: on the way to any other it could be read and changed.
    """
    addresses = await _addresses(place)
    for address in addresses:
        if not any(address in network for network in allowed):
            if not _is_public(address):
                raise NotAllowed("its host is not at a public address, nor in a network of this server's `allow`")
            if not place.tls:
                raise NotAllowed("http:// would send it in plain text: use https://")
    return Target(str(addresses[0]), place)


async def _addresses(place: Place) -> list[Address]:
    """In a thread for each: one of the loop's few would be missed by others, and waited for when the process ends."""
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await Resolver(place.host, place.port, socket.SOCK_STREAM).addresses()
    except OSError:
        raise NotAllowed("its host cannot be found") from None
    return [plain_address(str(where[0]).partition("%")[0]) for _, where in found]


def _is_public(address: Address) -> bool:
    """One of IPv6 that is a way to one of IPv4 is judged as that one."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and address not in _PROTOCOLS
    if address in _TRANSLATED:
        return _is_public(IPv4Address(address.packed[12:]))
    if address in _6TO4:
        return _is_public(IPv4Address(address.packed[2:6]))
    return address in _PUBLIC_IPV6 and address.is_global
