"""What the OpenAPI document says of the gateway's routes; what stands in calls is told by their own providers."""

from __future__ import annotations

from typing import Any, Final

from agentops.core.errors import BadRequest, Forbidden, NotFound, Refusal, TooManyRequests, Unavailable
from agentops.core.http.describing import (
    NEXT_PAGE,
    answered,
    documented,
    json_example,
    limit_parameter,
    query_parameter,
    refused_bodies,
)
from agentops.core.http.paging import bad_limit
from agentops.core.ports.model import Api
from agentops.plugins.features.gateway import messages, own_keys
from agentops.plugins.features.gateway.faults import ProviderRefusal

_OBJECT: Final = dict[str, Any]
_AWAY: Final = Unavailable("nothing can be stored or read now: the disk is full")
_METADATA: Final = {
    "provider_used": "openrouter",
    "cost_incurred": 412,
    "credits_remaining": 4_999_588,
    "transaction_id": "019a9f0c2b7e4d1c9a6f5e2b8d7c6a5f",
    "using_byok": False,
    "byok_provider": None,
    "cache_hit": False,
    "usage_estimated": False,
}
_HELLO: Final = [{"role": "user", "content": "Say hello"}]
_CHAT: Final = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "openai/gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    "_metadata": _METADATA,
}
_RUN: Final = {
    "name": "X-Agentops-Run",
    "in": "header",
    "description": "The run of which the call is an event; without it, the key's own of the day.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}
_REFUSED: Final[list[Refusal]] = [
    BadRequest("this call may cost $0.50, and a call of this key $0.10 at most", code="cost_limit_exceeded"),
    Forbidden("this key may not call 'gpt-4o'", code="model_not_allowed", param="model"),
    NotFound("there is no model 'gpt-9' here", code="model_not_found", param="model"),
    TooManyRequests("the budget of this key for a day, $5.00, has not enough left", code="insufficient_quota"),
    ProviderRefusal(502, "openrouter: the connection was refused", code="provider_unreachable"),
    _AWAY,
    ProviderRefusal(504, "the call took longer than calls may take here", code="timeout"),
    *refused_bodies(),
]


def _call(summary: str, asked: dict[str, Any], example: dict[str, Any], *, streams: bool = True) -> dict[str, Any]:
    content = json_example(_OBJECT, example)
    if streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return documented(
        summary,
        description="The body is the provider's own, field by field; fields that are not known here pass through.",
        parameters=[_RUN],
        requestBody={"content": json_example(_OBJECT, asked), "required": True},
        responses={"200": {"description": "The provider's answer, and what it cost", "content": content}},
        refusals=_REFUSED,
    )


CALLS: Final[dict[Api, dict[str, Any]]] = {
    "chat": _call("Complete a chat", {"model": "gpt-4o-mini", "messages": _HELLO}, _CHAT),
    "embeddings": _call(
        "Embed texts",
        {"model": "text-embedding-3-small", "input": "hello"},
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
            "_metadata": _METADATA,
        },
        streams=False,
    ),
    "responses": _call(
        "Make a response, as OpenAI's newer API has it",
        {"model": "gpt-4o-mini", "input": "Say hello"},
        {"id": "resp_1", "object": "response", "status": "completed", "output": [], "_metadata": _METADATA},
    ),
    "messages": _call(
        "Make a message, as Anthropic's API has it",
        {"model": "claude", "max_tokens": 100, "messages": _HELLO},
        {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "_metadata": _METADATA},
    ),
}
MODELS: Final = documented(
    "List the models",
    responses={
        "200": answered(
            "What may be named as `model`",
            messages.ListedModels,
            {"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model", "created": 0, "owned_by": "openai"}]},
        )
    },
)
MODEL: Final = documented(
    "Read a model",
    responses={
        "200": answered(
            "The model",
            messages.ListedModel,
            {"id": "gpt-4o-mini", "object": "model", "created": 0, "owned_by": "openai"},
        )
    },
    refusals=[NotFound("there is no model 'gpt-9' here", code="model_not_found", param="model")],
)
CREDITS: Final = documented(
    "See what may still be spent",
    responses={
        "200": answered(
            "Of the caller, in micro-dollars; null where there is no limit",
            messages.Credits,
            {
                "user_id": "alice",
                "credits_remaining": 4_999_588,
                "credits_allocated": 5_000_000,
                "credits_used": 412,
                "credits_held": 0,
                "tier": "standard",
                "unit": "micro-dollars",
            },
        )
    },
    refusals=[_AWAY],
)
HISTORY: Final = documented(
    "See every change of one's credits",
    parameters=[
        limit_parameter(100, 1000, 2),
        query_parameter("before", "Only what is older than this entry.", example="100"),
    ],
    responses={
        "200": answered(
            "The newest first",
            messages.History,
            {
                "entries": [
                    {
                        "id": "2",
                        "at": 1767225600000,
                        "kind": "call",
                        "call": "019a9f0c2b7e4d1c9a6f5e2b8d7c6a5f",
                        "amount": -412,
                        "before": 5_000_000,
                        "after": 4_999_588,
                        "note": "",
                    }
                ]
            },
            headers={"Link": NEXT_PAGE},
        )
    },
    refusals=[bad_limit(), _AWAY],
)
USAGE: Final = documented(
    "See what calls used and cost",
    description="One's own; with `llm:manage`, everybody's in the project, or one `user`'s.",
    parameters=[
        query_parameter("since", "The first day, as in 2026-01-31; 30 days ago without it.", example="2026-01-01"),
        query_parameter("until", "The last day; today without it.", example="2099-12-31"),
        query_parameter(
            "by",
            "By what to add up: any of `day`, `key`, `user`, `model`, `provider`, `project`.",
            example="day,model",
        ),
        query_parameter("user", "Only of this user.", example="alice"),
        query_parameter("format", "`csv` for a table; JSON otherwise.", {"type": "string", "enum": ["json", "csv"]}),
    ],
    responses={
        "200": {
            "description": "A row for each, in the order of `by`; 10,000 at most",
            "content": {
                **json_example(
                    messages.UsageReport,
                    {
                        "since": "2026-01-01",
                        "until": "2026-01-31",
                        "rows": [
                            {
                                "day": "2026-01-05",
                                "model": "gpt-4o-mini",
                                "calls": 3,
                                "failed": 0,
                                "input": 30,
                                "cached": 0,
                                "written": 0,
                                "output": 12,
                                "cost": 1236,
                            }
                        ],
                        "unit": "micro-dollars",
                    },
                ),
                "text/csv": {"schema": {"type": "string"}},
            },
        }
    },
    refusals=[BadRequest("`since` is a day such as 2026-01-31", param="since"), _AWAY],
)
_STORED: Final = {
    "provider": "openai",
    "shown": "…wxyz",
    "created_at": "2026-01-01T00:00:00Z",
    "last_used": None,
}
STORE_KEY: Final = documented(
    "Store one's own key for a provider",
    description="It is used for the caller's calls instead of the server's, and then nothing is charged. It is stored "
    "sealed, and never shown again; it takes the place of the one stored before.",
    requestBody={
        "content": json_example(own_keys.WantedOwnKey, {"provider": "openai", "api_key": "sk-proj-0123456789wxyz"})
    },
    responses={"201": answered("It is used from the next call on", own_keys.StoredKey, _STORED)},
    refusals=[
        BadRequest("no provider of this name takes keys here", code="unknown_provider", param="provider"),
        BadRequest("a provider's key is 16 to 500 letters, digits and signs, without blanks", param="api_key"),
        *refused_bodies(),
        _AWAY,
    ],
)
LIST_KEYS: Final = documented(
    "List one's own keys for providers",
    responses={
        "200": answered(
            "By the name of the provider, with the last four characters of each",
            own_keys.StoredKeys,
            {"keys": [_STORED], "total": 1},
        )
    },
    refusals=[_AWAY],
)
DELETE_KEY: Final = documented(
    "Delete one's own key for a provider",
    responses={
        "200": answered(
            "The server's own is used from the next call on, and charged",
            own_keys.Deleted,
            {"message": "the key is deleted", "success": True},
        )
    },
    refusals=[NotFound("there is no such key"), _AWAY],
)
