"""What a new key may be, and what whoever makes it may give away."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, NamedTuple

from agentops.core.errors import BadRequest, Forbidden
from agentops.core.limits import RATE
from agentops.core.permissions import beyond, unknown
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentops.core.allowance import Allowance

DAYS_MOST: Final = 365
NAME_MOST: Final = 200
NETWORKS_MOST: Final = 50
NETWORK_LONGEST: Final = 50
RATES_MOST: Final = 8
TOLD_MOST: Final = 60
"""How much of what was refused is told in the error."""


class Wanted(NamedTuple):
    """What a new key is to be."""

    owner: str
    name: str
    days: int
    permissions: Sequence[str]
    networks: Sequence[str] = ()
    rates: Sequence[str] = ()
    llm: Allowance | None = None


class Granter(NamedTuple):
    """What whoever makes a key may give away, of what there is."""

    permissions: Collection[str]
    registry: Collection[str]
    allowance: Allowance | None = None


def check_wanted(project: str, wanted: Wanted, granter: Granter) -> None:
    if not storable(project):
        raise BadRequest("a project's name is text without NUL", param="project")
    if not _is_name(wanted.name):
        raise BadRequest(f"a key's name is 1 to {NAME_MOST} printable characters", param="name")
    if not _is_name(wanted.owner):
        raise BadRequest(f"a key's owner is 1 to {NAME_MOST} printable characters", param="user_id")
    if not 1 <= wanted.days <= DAYS_MOST:
        raise BadRequest(f"a key lives for 1 to {DAYS_MOST} days", param="expires_in_days")
    _check_networks(wanted.networks)
    _check_rates(wanted.rates)
    _check_allowance(wanted.llm)
    check_grant(wanted, granter)


def check_grant(wanted: Wanted, granter: Granter) -> None:
    strange = unknown(wanted.permissions, granter.registry)
    if strange:
        message = f"there is no permission {strange[0][:TOLD_MOST]!r}"
        raise BadRequest(message, code="unknown_permission", param="permissions")
    too_much = beyond(wanted.permissions, granter.permissions)
    if too_much:
        raise Forbidden(f"nobody grants what they do not hold: {too_much[0]!r}", code="beyond_own_rights")
    if granter.allowance is not None:
        message = "a key whose model calls are limited makes no other: what that one spends would not be counted here"
        raise Forbidden(message, code="beyond_own_rights")


def _check_networks(networks: Sequence[str]) -> None:
    if len(networks) > NETWORKS_MOST:
        raise BadRequest(f"a key may name {NETWORKS_MOST} networks at most", param="allowed_ips")
    for network in networks:
        if not _is_network(network):
            message = f"{network[:TOLD_MOST]!r} is no address or network; write 192.0.2.7 or 192.0.2.0/24"
            raise BadRequest(message, param="allowed_ips")


def _check_rates(rates: Sequence[str]) -> None:
    if len(rates) > RATES_MOST:
        raise BadRequest(f"a key may have {RATES_MOST} rates at most", param="rate_limits")
    for rate in rates:
        if not re.match(RATE, rate):
            message = f"{rate[:TOLD_MOST]!r} is no rate; write so many in so much time, such as 100/m or 5/30s"
            raise BadRequest(message, param="rate_limits")


def _check_allowance(allowance: Allowance | None) -> None:
    if allowance is None:
        return
    if allowance.counts_as is not None:
        raise BadRequest("only of a key that is rotated it is known what it counts as", param="llm.counts_as")
    for model in allowance.models:
        if not _is_name(model):
            raise BadRequest(f"a model's name is 1 to {NAME_MOST} printable characters", param="llm.models")


def _is_network(text: str) -> bool:
    """A zone (`fe80::1%eth0`) is any text, and means something on one machine only."""
    if len(text) > NETWORK_LONGEST or "%" in text:
        return False
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    """U+FFFD stands where a path was not UTF-8, so that many owners would become one."""
    return 0 < len(text.strip()) <= len(text) <= NAME_MOST and text.isprintable() and "\ufffd" not in text
