"""Addresses in the form in which they can be compared: one of IPv4 may come written as one of IPv6."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_IN_IPV6: Final = 96
"""The bits before an IPv4 address that is written as one of IPv6: `::ffff:192.0.2.7`."""


def plain_address(text: str) -> Address:
    """Read an address, or raise `ValueError`; the server may see a peer's in either form."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def plain_network(text: str) -> Network:
    """Read a network, or raise `ValueError`: `::ffff:192.0.2.0/120` is `192.0.2.0/24`."""
    network = ip_network(text)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _IN_IPV6:
        return network
    return IPv4Network((mapped, network.prefixlen - _IN_IPV6))


def is_within(peer: str | None, networks: Iterable[Network]) -> bool:
    """Whether a peer is in one of these networks; one without an address is in none."""
    try:
        address = plain_address(peer or "")
    except ValueError:
        return False
    return any(address in network for network in networks)


def neighbourhood(address: str | None) -> str:
    """An address, or the /64 of one of IPv6: whoever has one has all of them."""
    try:
        plain = plain_address(address or "")
    except ValueError:
        return address or ""
    return str(ip_network((plain.packed[:8] + bytes(8), 64)) if isinstance(plain, IPv6Address) else plain)
