"""Users over HTTP: they sign in and out, see what they may do, and are made and changed by those who may."""

from __future__ import annotations

from agentops.plugins.features.users.routes import Users
from agentops.plugins.features.users.settings import FirstAdmin, UsersSettings

__all__ = ["FirstAdmin", "Users", "UsersSettings"]
