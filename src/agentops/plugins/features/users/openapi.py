"""What the OpenAPI document says of the routes of users."""

from __future__ import annotations

from typing import Any, Final

from agentops.core.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from agentops.core.http.describing import documented, json_examples, refused_bodies, with_examples
from agentops.plugins.features.users import messages

_USER: Final = {
    "id": "usr_5d41402abc4b2a76",
    "username": "ada",
    "email": "ada@example.com",
    "role": "developer",
    "project": "default",
    "is_active": True,
    "created_at": "2026-01-01T00:00:00Z",
}
_SOMEBODY: Final = {"subject": "ci", "project": "default", "permissions": ["runs:read", "users:self"]}
_TOKENS: Final = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c3JfNWQ0MTQwMmFiYzRiMmE3NiJ9.c2lnbmF0dXJl",
    "refresh_token": "9f86d081884c7d659a2feaa0c55ad015.Vzqr0XW5yyFnIKaDq3dk3dcR3GNfV1y1c1HSd0S2bqA",
    "token_type": "bearer",
    "expires_in": 900,
}
_REFRESH: Final = {"refresh_token": _TOKENS["refresh_token"]}

_UNAVAILABLE: Final = Unavailable("nothing can be stored or read now: the disk is full")
_NOT_JSON: Final = (
    *refused_bodies(64 * 1024),
    _UNAVAILABLE,
)
_BODY: Final = (BadRequest("Object missing required field `username`", code="invalid_body"), *_NOT_JSON)
_CHECKING: Final = Unavailable("too many credentials are being checked at once", code="overloaded")
_WAIT: Final = TooManyRequests("too many attempts; wait before the next", headers={"Retry-After": "60"})
_SPENT: Final = Unauthorized("this refresh token is not valid", code="invalid_token")
_TOO_MUCH: Final = Forbidden("nobody grants what they do not hold: the role 'admin'", code="beyond_own_rights")


def _sent(kind: Any, *, required: bool = True, **examples: object) -> dict[str, Any]:
    return {"required": required, "content": json_examples(kind, **examples)}


def _answered(status: str, description: str, kind: Any, **examples: object) -> dict[str, Any]:
    return {status: {"description": description, "content": json_examples(kind, **examples)}}


_SIGNED_IN: Final = _answered("200", "The caller is in", messages.Tokens, tokens=_TOKENS)

LOGIN: Final = documented(
    "Sign in",
    description=(
        "A wrong name and a wrong password are answered alike. After too many failures, of an account or from an "
        "address, the answer is 429 whatever the password."
    ),
    requestBody={
        "required": True,
        "content": {
            "application/json": with_examples(
                messages.Credentials, user={"username": "ada", "password": "correct horse battery"}
            ),
            messages.FORM: with_examples(
                messages.Credentials, user={"username": "ada", "password": "correct horse battery"}
            ),
        },
    },
    responses=_SIGNED_IN,
    refusals=(
        *_BODY,
        Unauthorized("the username or the password is wrong", code="invalid_credentials"),
        _WAIT,
        _CHECKING,
    ),
)
REFRESH: Final = documented(
    "Get the next tokens",
    description="The refresh token is spent by this. Shown again later, it ends the session: somebody has a copy.",
    requestBody=_sent(messages.Refreshing, last=_REFRESH),
    responses=_SIGNED_IN,
    refusals=(*_BODY, _SPENT),
)
LOGOUT: Final = documented(
    "Sign out",
    description=(
        "Ends the session of the access token in `Authorization`, or that of a refresh token in the body: all its "
        "tokens are refused from now on, and its streams end. A refresh token that is no good has nothing to end."
    ),
    requestBody=_sent(messages.SigningOut, required=False, with_refresh_token=_REFRESH, with_access_token={}),
    responses={"204": {"description": "Nobody is signed in by it any more"}},
    refusals=(*_NOT_JSON, Unauthorized("show the access token of the session that is to end")),
)
REGISTER: Final = documented(
    "Make a user",
    requestBody=_sent(
        messages.Registration,
        user={"username": "ada", "email": "ada@example.com", "password": "correct horse battery", "role": "developer"},
    ),
    responses=_answered("201", "The new user", messages.UserAnswer, user=_USER),
    refusals=(
        BadRequest("a password has 8 to 1024 characters", code="bad_request", param="password"),
        *_BODY,
        _CHECKING,
        _TOO_MUCH,
        Conflict("this username is taken", code="username_taken", param="username"),
        Conflict("this email is taken", code="email_taken", param="email"),
    ),
)
ME: Final = documented(
    "See who one is",
    responses=_answered(
        "200",
        "The user, or what another system says of the caller",
        {"anyOf": [messages.UserAnswer, messages.Somebody]},
        user=_USER,
        somebody=_SOMEBODY,
    ),
    refusals=(_UNAVAILABLE,),
)
PERMISSIONS: Final = documented(
    "See what one may do",
    responses=_answered(
        "200",
        "Each permission there is that the caller has",
        messages.Rights,
        rights={"role": "viewer", "permissions": ["agents:read", "runs:read", "users:self", "workflows:read"]},
    ),
    refusals=(_UNAVAILABLE,),
)
ROLES: Final = documented(
    "See the roles",
    responses=_answered(
        "200",
        "Each role, with each permission there is that it has",
        messages.Roles,
        roles={"roles": [{"role": "viewer", "permissions": ["agents:read", "runs:read", "workflows:read"]}]},
    ),
    refusals=(_UNAVAILABLE,),
)
PASSWORD: Final = documented(
    "Change one's own password",
    description="All sessions of the user end, this one too: sign in again with the new password.",
    requestBody=_sent(messages.PasswordChange, change={"old": "correct horse battery", "new": "staple battery horse"}),
    responses={"204": {"description": "The new password holds"}},
    refusals=(
        BadRequest("the old password is wrong", code="wrong_password", param="old"),
        *_BODY,
        _CHECKING,
        Forbidden("you have no password here: another system vouches for you", code="no_password"),
        _WAIT,
    ),
)
LIST: Final = documented(
    "List the users of one's project",
    responses=_answered("200", "Users, by name", list[messages.UserAnswer], users=[_USER]),
    refusals=(_UNAVAILABLE,),
)
CHANGE: Final = documented(
    "Give a user another role, disable or enable one",
    description=(
        "Holds from the user's next request on. A user who is disabled is signed out, and enabled again has to sign in."
    ),
    parameters=[
        {"name": "user_id", "in": "path", "required": True, "schema": str, "example": "usr_5d41402abc4b2a76"},
    ],
    requestBody=_sent(messages.UserChange, promoted={"role": "developer"}, disabled={"disabled": True}),
    responses=_answered("200", "The user as it is now", messages.UserAnswer, user=_USER),
    refusals=(
        *_BODY,
        _TOO_MUCH,
        NotFound("there is no such user"),
        Conflict("this is the last administrator of the project: make another one first", code="last_admin"),
    ),
)
