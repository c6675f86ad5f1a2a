"""What is sent and answered about users, and how the text of a body becomes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs

import msgspec

from agentops.core.errors import BadRequest
from agentops.core.http.bodies import decode_json, require_json

if TYPE_CHECKING:
    from agentops.accounts.users import User

FORM: Final = "application/x-www-form-urlencoded"
FIELDS_MOST: Final = 20

RoleName = Literal["admin", "developer", "agent_operator", "user", "viewer"]


class _Unshown(msgspec.Struct, frozen=True):
    """Holds a secret, so that its text says only what it is."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Credentials(_Unshown, frozen=True):
    """Who signs in; what else a client sends along, such as `grant_type`, is passed over."""

    username: str
    password: str


class Refreshing(_Unshown, frozen=True):
    """The refresh token that came last."""

    refresh_token: str


class SigningOut(_Unshown, frozen=True):
    """A refresh token of the session that is to end; without one, it is that of the access token."""

    refresh_token: str | None = None


class PasswordChange(_Unshown, frozen=True, forbid_unknown_fields=True):
    """One's own password, as it is and as it is to be."""

    old: str
    new: str


class Registration(_Unshown, frozen=True, forbid_unknown_fields=True):
    """The user to make."""

    username: str
    email: str
    password: str
    role: RoleName


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a user; what is left out stays as it is."""

    role: RoleName | None = None
    disabled: bool | None = None


class Tokens(_Unshown, frozen=True):
    """What signing in gives: a token to show with each request, and one to get the next pair with."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"]
    expires_in: int


class UserAnswer(msgspec.Struct, frozen=True):
    """A user, as everybody may see one."""

    id: str
    username: str
    email: str
    role: str
    project: str
    is_active: bool
    created_at: datetime


class Somebody(msgspec.Struct, frozen=True):
    """A caller that is no user of this server: another system vouches for it."""

    subject: str
    project: str
    permissions: Sequence[str]


class Rights(msgspec.Struct, frozen=True):
    """What the caller may do here, one by one."""

    role: str | None
    permissions: Sequence[str]


class Role(msgspec.Struct, frozen=True):
    """A role, and what it allows here."""

    role: str
    permissions: Sequence[str]


class Roles(msgspec.Struct, frozen=True):
    """All the roles there are."""

    roles: Sequence[Role]


refreshing_decoder: Final = msgspec.json.Decoder(Refreshing)
signing_out_decoder: Final = msgspec.json.Decoder(SigningOut)
password_decoder: Final = msgspec.json.Decoder(PasswordChange)
registration_decoder: Final = msgspec.json.Decoder(Registration)
change_decoder: Final = msgspec.json.Decoder(UserChange)
_credentials_decoder: Final = msgspec.json.Decoder(Credentials)


def credentials(media_type: str, body: bytes) -> Credentials:
    """Read a form, as a page or an OAuth client sends it, or JSON."""
    if media_type == FORM:
        return _from_form(body)
    require_json(media_type)
    return decode_json(_credentials_decoder, body)


def shown(user: User) -> UserAnswer:
    return UserAnswer(
        id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        project=user.project,
        is_active=user.disabled_at is None,
        created_at=datetime.fromtimestamp(user.created_at // 1000, UTC),
    )


def _from_form(body: bytes) -> Credentials:
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MOST)
    except ValueError:
        raise BadRequest(f"the form is not UTF-8, or has more than {FIELDS_MOST} fields", code="invalid_body") from None
    for name in ("username", "password"):
        if len(fields.get(name, ())) != 1:
            raise BadRequest(f"the form has the field `{name}` once", code="invalid_body", param=name)
    return Credentials(fields["username"][0], fields["password"][0])
