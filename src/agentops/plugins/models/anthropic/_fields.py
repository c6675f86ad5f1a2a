"""The fields of a chat order that mean the same in other words, mean nothing here, or cannot be said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentops.plugins.models.anthropic._faults import unsayable
from agentops.plugins.models.anthropic._reading import NULL, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.plugins.models.anthropic._parts import Block

Fields = dict[str, Any]

TRANSLATED: Final = frozenset(
    {
        "max_completion_tokens", "max_tokens", "messages", "metadata", "output_config", "parallel_tool_calls",
        "reasoning_effort", "response_format", "safety_identifier", "service_tier", "stop", "stream_options",
        "temperature", "tool_choice", "tools", "user",
    }
)  # fmt: skip
HINTS: Final = frozenset(
    {
        "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "seed", "store",
        "verbosity",
    }
)  # fmt: skip
"""They ask for no other answer, and Anthropic has no word for them: not sent."""

UNSAYABLE: Final[dict[str, list[Any]]] = {
    "audio": [],
    "frequency_penalty": [0],
    "function_call": [],
    "functions": [],
    "logit_bias": [{}],
    "logprobs": [False],
    "modalities": [["text"]],
    "moderation": [],
    "n": [1],
    "presence_penalty": [0],
    "top_logprobs": [0],
    "web_search_options": [],
}
"""They ask for what Anthropic cannot do, but for these values, and for null."""

_NOT_PASSED_ON: Final = {"model", "stream", *TRANSLATED, *HINTS, *UNSAYABLE}

_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_TIERS: Final = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Schema(msgspec.Struct):
    schema: msgspec.Raw = NULL


class _Format(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None


def passed_on(fields: Mapping[str, msgspec.Raw]) -> Fields:
    """The fields that OpenAI's API does not know, or that are called the same in both."""
    for name, raw in fields.items():
        if name in UNSAYABLE and read(raw, Any, name) not in [None, *UNSAYABLE[name]]:
            raise unsayable(name, "Anthropic has no such thing; leave it out")
    return {name: raw for name, raw in fields.items() if name not in _NOT_PASSED_ON and raw != NULL}


def most_tokens(fields: Mapping[str, msgspec.Raw], default: int) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        if (most := _field(fields, name, int | None)) is not None:
            return int(most)
    return default


def sampling(fields: Mapping[str, msgspec.Raw]) -> Fields:
    """OpenAI's temperature goes to 2, and Anthropic's to 1; what is hotter is as hot as it gets."""
    found: Fields = {}
    if (heat := _field(fields, "temperature", float | None)) is not None:
        found["temperature"] = 1 if heat > 1 else fields["temperature"]
    if stop := _field(fields, "stop", str | list[str] | None):
        found["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if (tier := _field(fields, "service_tier", str | None)) is not None:
        if tier not in _TIERS:
            raise unsayable("service_tier", f"Anthropic has no {tier!r}; write auto or default")
        found["service_tier"] = _TIERS[tier]
    return found


def metadata(fields: Mapping[str, msgspec.Raw]) -> Fields:
    """Of what OpenAI keeps beside a call, Anthropic knows the user alone."""
    for name in ("safety_identifier", "user"):
        if user := _field(fields, name, str | None):
            return {"metadata": {"user_id": user}}
    given: _Metadata | None = _field(fields, "metadata", _Metadata | None)
    return {"metadata": {"user_id": given.user_id}} if given is not None and given.user_id else {}


def output_config(fields: Mapping[str, msgspec.Raw]) -> Block:
    """How the answer is to look, and how hard it is to be thought about; Anthropic has both in one place."""
    given: Block = _field(fields, "output_config", dict[str, msgspec.Raw] | None) or {}
    asked = effort(fields)
    return {
        **({"effort": _EFFORTS[asked]} if asked in _EFFORTS else {}),
        **_format(fields),
        **given,
    }


def effort(fields: Mapping[str, msgspec.Raw]) -> str | None:
    asked: str | None = _field(fields, "reasoning_effort", str | None)
    if asked is not None and asked not in {"none", *_EFFORTS}:
        raise unsayable("reasoning_effort", f"there is no {asked!r}; write none, {', '.join(_EFFORTS)}")
    return asked


def _format(fields: Mapping[str, msgspec.Raw]) -> Block:
    wanted: _Format | None = _field(fields, "response_format", _Format | None)
    if wanted is None or wanted.type == "text":
        return {}
    if wanted.type != "json_schema" or wanted.json_schema is None or wanted.json_schema.schema == NULL:
        raise unsayable("response_format", "Anthropic writes JSON by a schema only; use the type json_schema, with one")
    return {"format": {"type": "json_schema", "schema": wanted.json_schema.schema}}


def _field(fields: Mapping[str, msgspec.Raw], name: str, shape: Any) -> Any:
    return read(fields[name], shape, name) if name in fields else None
