"""The routes of keys: one implementation, at the paths that a deployment names."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath
from msgspec import Meta

from agentops.accounts.keys import CREDENTIAL
from agentops.accounts.keys import Keys as KeyService
from agentops.accounts.wanted_key import Granter, Wanted
from agentops.accounts.web import origin_of
from agentops.core.abilities import able, unable
from agentops.core.errors import BadRequest, Forbidden, StartError
from agentops.core.http.answers import json_answer
from agentops.core.http.bodies import decode_json, read_json
from agentops.core.permissions import common
from agentops.core.plugin import Settings
from agentops.core.ports.feature import Feature
from agentops.core.ports.keys import MakesKeys
from agentops.core.problem import Problem
from agentops.plugins.features.keys import messages, openapi

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from agentops.core.ports.auth import Authenticator
    from agentops.core.ports.model import Model
    from agentops.core.rungs import Rungs
    from agentops.core.vouched import Vouched

AnyRequest = Request[Any, Any, Any]
Path = Annotated[str, Meta(pattern=r"^((/[A-Za-z0-9._~-]+)+)?$")]

ADMINISTERED: Final = "/admin/users/{user_id:str}/api-keys"


class KeysSettings(Settings):
    """`[features.keys]`: where keys are made and revoked, and for which authenticator."""

    auth: str = ""
    """The `hashed-keys` authenticator that takes them; it need not be said when there is only one."""
    own_path: Path = "/keys"
    """Where everybody has their own; empty, nowhere."""
    administered: bool = True
    """Whether `/admin/users/{user_id}/api-keys` is served too, to those who may manage everybody's."""
    default_permissions: list[str] = []
    """What a key may do that is made without saying so, as far as its maker may."""


class Keys(Feature[KeysSettings]):
    """`serve = ["keys"]`: made, listed, revoked and rotated; the text of a key is in one answer, and in no other."""

    may_be_open: ClassVar = False
    permissions: ClassVar = {
        "keys:own": "make, see, rotate and revoke one's own keys",
        "keys:manage": "make, see, rotate and revoke everybody's keys",
    }

    _service: KeyService
    _counts: bool
    _registry: Mapping[str, str]
    _vouched: Vouched

    def check(self) -> Iterable[Problem]:
        if not self.settings.own_path and not self.settings.administered:
            yield Problem("own_path", "no route is left", "nothing would be served", 'write own_path = "/keys"')

    def check_beside(self, auth: Mapping[str, Authenticator], models: Mapping[str, Model]) -> Iterable[Problem]:
        yield from unable(auth, MakesKeys, self.settings.auth, "the keys that are made here are for a hashed-keys one")

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._service = KeyService(rungs.storage, _prefix_in(rungs.auth, self.settings.auth))
        self._counts = rungs.has("limiter")
        self._registry, self._vouched = rungs.permissions, rungs.vouched
        yield

    def routes(self) -> Sequence[object]:
        return [*self._own_routes(), *self._administered_routes()]

    def _own_routes(self) -> Sequence[object]:
        path, needs = self.settings.own_path, {"permission": "keys:own"}
        if not path:
            return []
        return [
            post(path, opt=needs, **openapi.CREATE)(self.create_own),
            get(path, opt=needs, **openapi.LIST)(self.list_own),
            delete(path, opt=needs, status_code=200, **openapi.REVOKE_ALL)(self.revoke_all_own),
            delete(f"{path}/{{key_id:str}}", opt=needs, status_code=200, **openapi.REVOKE)(self.revoke_own),
            post(f"{path}/{{key_id:str}}/rotate", opt=needs, **openapi.ROTATE)(self.rotate_own),
        ]

    def _administered_routes(self) -> Sequence[object]:
        path, needs = ADMINISTERED, {"permission": "keys:manage"}
        if not self.settings.administered:
            return []
        return [
            post(path, opt=needs, **openapi.CREATE)(self.create),
            get(path, opt=needs, **openapi.LIST)(self.list),
            delete(path, opt=needs, status_code=200, **openapi.REVOKE_ALL)(self.revoke_all),
            delete(f"{path}/{{key_id:str}}", opt=needs, status_code=200, **openapi.REVOKE)(self.revoke),
            post(f"{path}/{{key_id:str}}/rotate", opt=needs, **openapi.ROTATE)(self.rotate),
        ]

    async def create(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        asked = decode_json(messages.wanted_decoder, await read_json(request))
        if asked.rate_limits:
            self._check_rates(request)
        if asked.llm is not None:
            _require_manager(request, "limits of a key's calls of models")
        granter = self._granter(request)
        permissions = asked.permissions or sorted(common(self.settings.default_permissions, granter.permissions))
        wanted = Wanted(
            user_id,
            asked.name,
            asked.expires_in_days,
            permissions,
            asked.allowed_ips,
            asked.rate_limits,
            asked.llm,
        )
        key, text = await self._service.create(origin_of(request), wanted, granter)
        return json_answer(messages.made(key, text), 201)

    async def list(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        found = await self._service.of_owner(request.user.project, user_id)
        return json_answer(messages.listed(found))

    async def revoke(self, request: AnyRequest, user_id: FromPath[str], key_id: FromPath[str]) -> Response[bytes]:
        await self._service.revoke(origin_of(request), user_id, key_id)
        self._vouched.changed()
        return json_answer(messages.Done("the key is revoked"))

    async def revoke_all(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        revoked = await self._service.revoke_all(origin_of(request), user_id)
        self._vouched.changed()
        return json_answer(messages.RevokedKeys(revoked))

    async def rotate(self, request: AnyRequest, user_id: FromPath[str], key_id: FromPath[str]) -> Response[bytes]:
        asked = decode_json(messages.rotation_decoder, await read_json(request) or b"{}")
        key, text = await self._service.rotate(
            origin_of(request), user_id, key_id, asked.grace_seconds, self._granter(request)
        )
        self._vouched.changed()
        return json_answer(messages.made(key, text), 201)

    async def create_own(self, request: AnyRequest) -> Response[bytes]:
        _require_person(request)
        return await self.create(request, request.user.subject)

    async def list_own(self, request: AnyRequest) -> Response[bytes]:
        return await self.list(request, request.user.subject)

    async def revoke_own(self, request: AnyRequest, key_id: FromPath[str]) -> Response[bytes]:
        return await self.revoke(request, request.user.subject, key_id)

    async def revoke_all_own(self, request: AnyRequest) -> Response[bytes]:
        return await self.revoke_all(request, request.user.subject)

    async def rotate_own(self, request: AnyRequest, key_id: FromPath[str]) -> Response[bytes]:
        _require_person(request)
        return await self.rotate(request, request.user.subject, key_id)

    def _check_rates(self, request: AnyRequest) -> None:
        """They stand in place of the lane's: whoever could give themselves some would not be limited."""
        _require_manager(request, "rate limits of a key")
        if not self._counts:
            raise BadRequest("nothing counts requests here: this deployment has no [limiter]", param="rate_limits")

    def _granter(self, request: AnyRequest) -> Granter:
        return Granter(request.user.permissions, self._registry, request.user.allowance)


def _require_manager(request: AnyRequest, what: str) -> None:
    if not request.user.may("keys:manage"):
        raise Forbidden(f"{what} need the permission 'keys:manage'", code="beyond_own_rights")


def _require_person(request: AnyRequest) -> None:
    """A key that made another would pass on its rights without its end, its networks and its revocation."""
    if (request.user.credential or "").startswith(CREDENTIAL):
        raise Forbidden("a key cannot make a key of its owner's; sign in", code="key_cannot_make_keys")


def _prefix_in(auth: Mapping[str, Authenticator], name: str) -> str | None:
    """The configuration was checked, so if it is not there, it could not start; then no key is made for it."""
    try:
        return able(auth, MakesKeys, name).prefix
    except StartError:
        return None
