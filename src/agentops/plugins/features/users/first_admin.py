"""Whoever is to be there when nobody is: without a first administrator nobody could make any other user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from agentops.accounts.audit import Origin
from agentops.accounts.users import PASSWORD_LEAST, PASSWORD_MOST, NewUser
from agentops.core.errors import Conflict
from agentops.core.identity import DEFAULT_PROJECT
from agentops.core.permissions import ROLES
from agentops.core.problem import Problem
from agentops.sql.tables import users
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentops.accounts.users import Users
    from agentops.core.rungs import Rungs
    from agentops.plugins.features.users.settings import FirstAdmin


def problems(wanted: FirstAdmin | None) -> Iterator[Problem]:
    """What would be refused when it is made."""
    if wanted is None or wanted.password is None:
        return
    password = wanted.password.reveal()
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST or not storable(password):
        yield Problem(
            "first_admin.password",
            "this cannot be a password",
            "the server would not start before there is a user",
            f"choose one of {PASSWORD_LEAST} to {PASSWORD_MOST} characters",
        )


async def make(rungs: Rungs, service: Users, wanted: FirstAdmin | None) -> None:
    """Make the administrator, if there is no user at all."""
    if wanted is None or wanted.password is None or await _anybody_is_there(rungs):
        return
    new = NewUser(wanted.username, wanted.email, wanted.password.reveal(), "admin")
    try:
        user = await service.add(Origin(DEFAULT_PROJECT, "first start"), new, ROLES["admin"])
    except Conflict:
        return  # another instance started at the same moment, and was first
    rungs.signals.event("users.first_admin", "info", username=user.username, id=user.id)


async def _anybody_is_there(rungs: Rungs) -> bool:
    async with rungs.storage.read() as connection:
        return (await connection.execute(select(users.c.id).limit(1))).first() is not None
