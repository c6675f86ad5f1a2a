"""What is sent and answered about keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from agentops.accounts.keys import State
from agentops.accounts.wanted_key import DAYS_MOST
from agentops.core.allowance import Allowance
from agentops.core.limits import RateText
from agentops.core.records import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.accounts.keys import Key

GRACE_MOST: Final = 30 * 24 * 60 * 60
WARNING: Final = "Keep this key now: it is not stored, and cannot be shown again."

Days = Annotated[int, msgspec.Meta(ge=1, le=DAYS_MOST)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=GRACE_MOST)]


class WantedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The key to make; without permissions it is given those that the deployment names, as far as its maker may."""

    name: str
    expires_in_days: Days = 90
    permissions: list[str] = []
    allowed_ips: list[str] = []
    rate_limits: list[RateText] = []
    llm: Allowance | None = None


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how long the old key lives on, though never past its own end."""

    grace_seconds: Seconds = 0


class MadeKey(msgspec.Struct):
    """The one answer that ever holds the key itself; `llm` is there if its calls of models are limited."""

    api_key: str
    key_id: str
    key_prefix: str
    expires_at: str
    warning: str = WARNING
    llm: Allowance | msgspec.UnsetType = msgspec.UNSET


class ListedKey(msgspec.Struct, omit_defaults=True):
    """A key as it is listed; `rate_limits` and `llm` are there if it has some of its own."""

    key_id: str
    key_name: str
    key_prefix: str
    permissions: list[str]
    allowed_ips: list[str]
    created_at: str
    last_used: str | None
    expires_at: str
    is_active: bool
    status: State
    rate_limits: list[str] = []
    llm: Allowance | None = None


class ListedKeys(msgspec.Struct):
    """All keys of one owner, newest first."""

    api_keys: list[ListedKey]
    total: int


class Done(msgspec.Struct):
    """That it was done."""

    message: str
    success: bool = True


class RevokedKeys(msgspec.Struct):
    """How many keys worked until now."""

    revoked: int


wanted_decoder: Final = msgspec.json.Decoder(WantedKey)
rotation_decoder: Final = msgspec.json.Decoder(Rotation)


def made(key: Key, text: str) -> MadeKey:
    return MadeKey(text, key.id, key.shown, iso(key.ends_at), llm=key.llm or msgspec.UNSET)


def listed(keys: Sequence[Key]) -> ListedKeys:
    return ListedKeys([_listed(key) for key in keys], len(keys))


def _listed(key: Key) -> ListedKey:
    return ListedKey(
        key_id=key.id,
        key_name=key.name,
        key_prefix=key.shown,
        permissions=list(key.permissions),
        allowed_ips=list(key.networks),
        created_at=iso(key.created_at),
        last_used=None if key.last_used_at is None else iso(key.last_used_at),
        expires_at=iso(key.ends_at),
        is_active=key.state == "active",
        status=key.state,
        rate_limits=list(key.rates),
        llm=key.llm,
    )
