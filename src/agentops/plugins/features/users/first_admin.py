"""Whoever is to be there when nobody is: without a first administrator nobody could make any other user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentops.accounts.audit import Origin
from agentops.accounts.users import ADMIN, NewUser, refusals_of
from agentops.core.errors import Conflict
from agentops.core.identity import DEFAULT_PROJECT
from agentops.core.permissions import ROLES
from agentops.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentops.accounts.users import Users
    from agentops.core.signals import Signals
    from agentops.plugins.features.users.settings import FirstAdmin

_CALLED: Final = {"username": "a username", "email": "an e-mail address", "password": "a password"}


def problems(wanted: FirstAdmin | None) -> Iterator[Problem]:
    """What would be refused when it is made; a password that is not there yet is wanted at the first start only."""
    if wanted is None:
        return
    for refusal in refusals_of(_new(wanted)):
        field = refusal.param or ""
        if field != "password" or wanted.password is not None:
            yield Problem(
                f"first_admin.{field}",
                f"this cannot be {_CALLED[field]}",
                "the server would not start before there is a user",
                refusal.message,
            )


async def make(users: Users, wanted: FirstAdmin | None, signals: Signals) -> None:
    """Make the administrator, if there is no user at all."""
    if wanted is None or wanted.password is None or await users.anybody():
        return
    try:
        user = await users.add(Origin(DEFAULT_PROJECT, "first start"), _new(wanted), ROLES[ADMIN])
    except Conflict:
        return  # another instance started at the same moment, and was first
    signals.event("users.first_admin", "info", username=user.username, id=user.id)


def _new(wanted: FirstAdmin) -> NewUser:
    password = "" if wanted.password is None else wanted.password.reveal()
    return NewUser(wanted.username, wanted.email, password, ADMIN)
