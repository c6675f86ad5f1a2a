"""The routes of users and their sessions."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, runtime_checkable

from litestar import Request, Response, get, patch, post
from litestar.params import FromPath

from agentops.accounts.sessions import Sessions
from agentops.accounts.standing import SESSION
from agentops.accounts.throttle import Throttle
from agentops.accounts.users import NewUser
from agentops.accounts.users import Users as UserService
from agentops.accounts.web import origin_of
from agentops.core.abilities import able, unable
from agentops.core.errors import Forbidden, StartError, Unauthorized, Unavailable
from agentops.core.http.answers import json_answer
from agentops.core.http.bodies import decode_json, media_type_of, read_body, require_json
from agentops.core.http.gate import context_of
from agentops.core.permissions import ROLES, covers
from agentops.core.ports.auth import Caller
from agentops.core.ports.feature import Feature
from agentops.core.ports.tokens import IssuesTokens
from agentops.core.problem import Problem
from agentops.plugins.features.users import first_admin, messages, nobody_yet, openapi
from agentops.plugins.features.users.settings import UsersSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence

    from agentops.accounts.audit import Origin
    from agentops.accounts.sessions import SignedIn
    from agentops.accounts.users import User
    from agentops.core.identity import Identity
    from agentops.core.ports.auth import Authenticator
    from agentops.core.ports.model import Model
    from agentops.core.rungs import Rungs
    from agentops.core.vouched import Vouched

AnyRequest = Request[Any, Any, Any]

BODY_MOST: Final = 64 * 1024
"""Nothing that is sent here is longer, and some of it is read before anybody is known."""
PROBE_SECONDS: Final = 60
"""Of a token that is made to see whether it can be: it must not end with the second in which it is made."""

UNSTORED: Final = {"Cache-Control": "no-store"}


@runtime_checkable
class SignsIn(IssuesTokens, Protocol):
    """An authenticator that issues tokens, and can say later whose they are."""

    def check(self) -> Iterable[Problem]: ...

    async def authenticate(self, caller: Caller) -> Identity | None: ...


class Users(Feature[UsersSettings]):
    """`serve = ["users"]`: people sign in, see what they may do, and are made and changed by administrators."""

    may_be_open: ClassVar = False
    permissions: ClassVar = {
        "users:self": "see who one is and what one may do, and change one's own password",
        "users:read": "see the users of one's project",
        "users:write": "make users, give them roles, and disable them",
    }

    _users: UserService
    _sessions: Sessions
    _issuer: SignsIn | None
    _registry: Mapping[str, str]
    _vouched: Vouched

    def check(self) -> Iterable[Problem]:
        return first_admin.problems(self.settings.first_admin)

    def check_beside(self, auth: Mapping[str, Authenticator], models: Mapping[str, Model]) -> Iterable[Problem]:
        """An issuer that finds something wrong with itself has said what."""
        wrong = list(unable(auth, SignsIn, self.settings.auth, "whoever signs in is to be given a token"))
        yield from wrong
        issuer = None if wrong else able(auth, SignsIn, self.settings.auth)
        if issuer is not None and not any(True for _ in issuer.check()):
            try:
                issuer.issue({"sub": "nobody"}, PROBE_SECONDS)
            except StartError as error:
                yield Problem("auth", str(error), "nobody could sign in", "name an authenticator that can")
            if not issuer.accounts:
                yield Problem(
                    "auth",
                    "the authenticator believes a token until it ends",
                    "whoever was signed out or disabled would still be let in",
                    "write `accounts = true` in its table",
                )

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        given, window = self.settings, self.settings.failure_minutes * 60
        self._registry, self._vouched = rungs.permissions, rungs.vouched
        self._users = UserService(rungs.storage)
        self._sessions = Sessions(
            rungs.storage,
            days=given.refresh_days,
            grace_seconds=given.grace_seconds,
            by_account=Throttle(given.account_failures, window),
            by_address=Throttle(given.address_failures, window),
        )
        self._issuer = self._issuer_of(rungs.auth)
        await first_admin.make(self._users, given.first_admin, rungs.signals)
        await nobody_yet.tell(self._users, rungs.signals)
        yield

    def routes(self) -> Sequence[object]:
        everybody, own = {"public": True}, {"permission": "users:self"}
        read, write = {"permission": "users:read"}, {"permission": "users:write"}
        return [
            post("/auth/login", opt=everybody, status_code=200, **openapi.LOGIN)(self.login),
            post("/auth/refresh", opt=everybody, status_code=200, **openapi.REFRESH)(self.refresh),
            post("/auth/logout", opt=everybody, status_code=204, **openapi.LOGOUT)(self.logout),
            post("/auth/register", opt=write, **openapi.REGISTER)(self.register),
            get("/auth/me", opt=own, **openapi.ME)(self.me),
            get("/auth/permissions", opt=own, **openapi.PERMISSIONS)(self.own_permissions),
            get("/auth/roles", opt=own, **openapi.ROLES)(self.roles),
            post("/auth/password", opt=own, status_code=204, **openapi.PASSWORD)(self.change_password),
            get("/users", opt=read, **openapi.LIST)(self.list_users),
            patch("/users/{user_id:str}", opt=write, **openapi.CHANGE)(self.change_user),
        ]

    async def login(self, request: AnyRequest) -> Response[bytes]:
        issuer = self._issuer_now()
        asked = messages.credentials(media_type_of(request), await _body(request))
        return self._tokens(issuer, await self._sessions.login(origin_of(request), asked.username, asked.password))

    async def refresh(self, request: AnyRequest) -> Response[bytes]:
        issuer = self._issuer_now()
        asked = decode_json(messages.refreshing_decoder, await _json(request))
        return self._tokens(issuer, await self._sessions.refresh(origin_of(request), asked.refresh_token))

    async def logout(self, request: AnyRequest) -> Response[None]:
        """A refresh token is spent for its family's sake: one that was spent before may be in a thief's hands too."""
        asked = decode_json(messages.signing_out_decoder, await _json(request) or b"{}")
        if asked.refresh_token is None:
            origin, session = await self._by_access_token(request)
        else:
            try:
                origin, session = await self._by_refresh_token(request, asked.refresh_token)
            except Unauthorized:
                return Response(None)
        await self._sessions.logout(origin, session)
        self._vouched.changed()
        return Response(None)

    async def register(self, request: AnyRequest) -> Response[bytes]:
        asked = decode_json(messages.registration_decoder, await _json(request))
        new = NewUser(asked.username, asked.email, asked.password, asked.role)
        user = await self._users.add(origin_of(request), new, request.user.permissions)
        return json_answer(messages.shown(user), 201)

    async def me(self, request: AnyRequest) -> Response[bytes]:
        identity: Identity = request.user
        user = await self._user_of(identity)
        if user is not None:
            return json_answer(messages.shown(user))
        return json_answer(messages.Somebody(identity.subject, identity.project, sorted(identity.permissions)))

    async def own_permissions(self, request: AnyRequest) -> Response[bytes]:
        return json_answer(messages.Rights(request.user.role, self._covered_by(request.user.permissions)))

    async def roles(self, request: AnyRequest) -> Response[bytes]:
        return json_answer(
            messages.Roles([messages.Role(role, self._covered_by(held)) for role, held in ROLES.items()])
        )

    async def change_password(self, request: AnyRequest) -> Response[None]:
        asked = decode_json(messages.password_decoder, await _json(request))
        user, origin = await self._user_of(request.user), origin_of(request)
        if user is None:
            raise Forbidden("you have no password here: another system vouches for you", code="no_password")
        await self._sessions.require_password(origin, user, asked.old)
        await self._users.set_password(origin, user.username, asked.new)
        self._vouched.changed()
        return Response(None)

    async def list_users(self, request: AnyRequest) -> Response[bytes]:
        return json_answer([messages.shown(user) for user in await self._users.listed(request.user.project)])

    async def change_user(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        asked = decode_json(messages.change_decoder, await _json(request))
        user = await self._users.change(
            origin_of(request), user_id, request.user.permissions, role=asked.role, disabled=asked.disabled
        )
        self._vouched.changed()
        return json_answer(messages.shown(user))

    def _issuer_of(self, auth: Mapping[str, Authenticator]) -> SignsIn | None:
        """The configuration was checked, so if it is not there, it could not start; that closes its own lanes only."""
        try:
            return able(auth, SignsIn, self.settings.auth)
        except StartError:
            return None

    def _issuer_now(self) -> SignsIn:
        if self._issuer is None:
            raise Unavailable("nobody can sign in right now", code="auth_unavailable")
        return self._issuer

    def _tokens(self, issuer: SignsIn, signed_in: SignedIn) -> Response[bytes]:
        """The rights are not in the token: they are the role's of today, which is read on each request."""
        user, seconds = signed_in.user, self.settings.access_minutes * 60
        claims = {"sub": user.id, "role": user.role, "project": user.project, "sid": signed_in.session}
        tokens = messages.Tokens(issuer.issue(claims, seconds), signed_in.refresh_token, "bearer", seconds)
        return json_answer(tokens, headers=UNSTORED)

    async def _by_access_token(self, request: AnyRequest) -> tuple[Origin, str]:
        """Who shows one of our access tokens, on a route that lets everybody in, and its session."""
        origin = origin_of(request)
        identity = await self._issuer_now().authenticate(Caller(list(request.scope["headers"]), origin.address))
        if identity is None or identity.credential is None or not identity.credential.startswith(SESSION):
            raise Unauthorized("show the access token of the session that is to end, or send its refresh token")
        who = origin._replace(project=identity.project, actor=identity.subject, credential=identity.credential)
        return who, identity.credential.removeprefix(SESSION)

    async def _by_refresh_token(self, request: AnyRequest, token: str) -> tuple[Origin, str]:
        """Whose refresh token it is, which is spent by this, and its session."""
        origin = origin_of(request)
        signed_in = await self._sessions.refresh(origin, token)
        who = origin._replace(project=signed_in.user.project, actor=signed_in.user.username)
        return who, signed_in.session

    async def _user_of(self, identity: Identity) -> User | None:
        user = await self._users.get(identity.subject)
        return user if user is not None and user.project == identity.project else None

    def _covered_by(self, held: Collection[str]) -> list[str]:
        return sorted(permission for permission in self._registry if covers(held, permission))


async def _json(request: AnyRequest) -> bytes:
    require_json(media_type_of(request))
    return await _body(request)


async def _body(request: AnyRequest) -> bytes:
    return await read_body(request, min(BODY_MOST, context_of(request.scope).max_body))
