"""What a configuration may say about users and their sessions."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from agentops.accounts.users import EMAIL_MOST, NAME_MOST
from agentops.core.config.settings import Positive
from agentops.core.plugin import Settings
from agentops.core.secret import Secret


class FirstAdmin(Settings):
    """`first_admin`: who is made when the server starts and there is no user at all."""

    username: Annotated[str, Meta(min_length=1, max_length=NAME_MOST)]
    email: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\Z", max_length=EMAIL_MOST)]
    password: Secret | None = None
    """Best as `{ env = "…", optional = true }`: it is wanted once, and without it nobody is made."""


class UsersSettings(Settings):
    """`[features.users]`: how people sign in, and for how long."""

    auth: str = ""
    """The authenticator that issues the access tokens; it need not be said when only one can."""
    access_minutes: Annotated[int, Meta(ge=1, le=24 * 60)] = 15
    """How long an access token is good for; then it is to be refreshed."""
    refresh_days: Annotated[int, Meta(ge=1, le=365)] = 30
    """How long somebody stays signed in; then the password is asked for again."""
    grace_seconds: Annotated[int, Meta(ge=0, le=300)] = 10
    """A spent refresh token that is shown again so soon is a lost answer, and no theft."""
    account_failures: Positive = 10
    """So many wrong passwords for one account in `failure_minutes`; then it is 429."""
    address_failures: Positive = 50
    """So many from one address. Behind a proxy everybody has the proxy's: set it as high as you have users."""
    failure_minutes: Positive = 15
    """For how long a failure counts."""
    first_admin: FirstAdmin | None = None
    """Who is made at a start before which there is no user at all: `username`, `email` and `password`."""
