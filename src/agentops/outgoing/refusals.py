"""A provider's no: what of it is handed on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.core.masking import masked_in_strangers
from agentops.core.ports.model import WAIT_HEADERS, ModelFault, ModelLost
from agentops.outgoing.objects import as_object

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agentops.outgoing.exchange import Exchange

REFUSAL_MOST: Final = 64 * 1024
"""Of a refusal's body; one that is longer is no refusal that anybody wrote for a reader."""
MESSAGE_MOST: Final = 500

_FIT: Final = re.compile(r"[ -~]{1,100}")
_FIRST_REFUSAL: Final = 300


def is_refusal(answer: Exchange) -> bool:
    return answer.status >= _FIRST_REFUSAL


async def refusal(answer: Exchange, secrets: Collection[str], *, key_is_ours: bool) -> ModelFault:
    """Read what there is to an answer that `is_refusal`, and return what to raise.

    A refusal of our own key is nobody's to read but ours: providers show some of the key in it.
    """
    status = answer.status
    try:
        body = await answer.whole(REFUSAL_MOST)
    except ModelLost:
        body = b""
    if status == 401 and key_is_ours:
        return ModelFault("the provider did not accept the key of this deployment", status)
    said = error_in(body)
    return fault(status, body if said else b"", said, secrets, headers=answer.headers)


def fault(
    status: int,
    body: bytes,
    said: Mapping[str, Any] | None,
    secrets: Collection[str],
    *,
    headers: Mapping[str, str] | None = None,
) -> ModelFault:
    """`said` is the error in the body. What `secrets` are in it is masked."""
    told = {name: (headers or {}).get(name, "") for name in WAIT_HEADERS}
    message = (said or {}).get("message")
    text = message[:MESSAGE_MOST] if isinstance(message, str) and message else f"the provider answered {status}"
    return ModelFault(
        _masked(text, secrets),
        status,
        headers={name: value for name, value in told.items() if _FIT.fullmatch(value)},
        body=_masked(body.decode(), secrets).encode(),
    )


def error_in(body: bytes) -> Mapping[str, Any] | None:
    """The object `error` of a body that is a JSON object, if that is what it is."""
    try:
        decoded: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return as_object(as_object(decoded).get("error")) or None


def _masked(text: str, secrets: Collection[str]) -> str:
    return masked_in_strangers(text, secrets)
