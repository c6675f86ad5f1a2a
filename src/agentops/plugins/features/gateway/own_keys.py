"""What callers do with their own keys for providers: store one, see which they have, and delete one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, Response

from agentops.accounts.web import origin_of
from agentops.core.errors import BadRequest, Forbidden
from agentops.core.http.answers import json_answer
from agentops.core.http.bodies import decode_json, read_json
from agentops.core.identity import ANONYMOUS
from agentops.core.problem import nearest
from agentops.core.records import iso
from agentops.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentops.accounts.own_keys import OwnKey, OwnKeys

AnyRequest = Request[Any, Any, Any]


class WantedOwnKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that the caller has at a provider; it takes the place of the one stored before."""

    provider: str
    api_key: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class StoredKey(msgspec.Struct):
    """A stored key: its last four characters, and never more of it."""

    provider: str
    shown: str
    created_at: str
    last_used: str | None


class StoredKeys(msgspec.Struct):
    """All that the caller has."""

    keys: list[StoredKey]
    total: int


class Deleted(msgspec.Struct):
    """That it is gone."""

    message: str
    success: bool = True


_decoder: Final = msgspec.json.Decoder(WantedOwnKey)


class Safe:
    """Of a gateway that runs."""

    def __init__(self, own_keys: OwnKeys, providers: Collection[str]) -> None:
        self._own_keys = own_keys
        self._providers = providers

    async def put(self, request: AnyRequest) -> Response[bytes]:
        owner = _owner(request)
        asked = decode_json(_decoder, await read_json(request))
        if asked.provider not in self._providers:
            message = f"no provider of this name takes keys here; {nearest(asked.provider, self._providers)}"
            raise BadRequest(message, code="unknown_provider", param="provider")
        stored = await self._own_keys.put(origin_of(request), owner, asked.provider, Secret(asked.api_key))
        return json_answer(_shown(stored), 201)

    async def list(self, request: AnyRequest) -> Response[bytes]:
        found = await self._own_keys.of_owner(request.user.project, _owner(request))
        return json_answer(StoredKeys([_shown(key) for key in found], len(found)))

    async def delete(self, request: AnyRequest, provider: str) -> Response[bytes]:
        await self._own_keys.delete(origin_of(request), _owner(request), provider)
        return json_answer(Deleted("the key is deleted"))


def _owner(request: AnyRequest) -> str:
    """Where everybody may enter unnamed, one key would serve, and be replaced by, all of them."""
    if request.user is ANONYMOUS:
        raise Forbidden("only who is known by name has keys of their own", code="nobody_known")
    owner: str = request.user.subject
    return owner


def _shown(key: OwnKey) -> StoredKey:
    used = None if key.last_used_at is None else iso(key.last_used_at)
    return StoredKey(key.provider, f"…{key.shown}", iso(key.created_at), used)
