"""A refusal says the same thing in six ways, and never more than it was given."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from agentops.core import errors
from agentops.core.config.settings import ErrorStyle
from agentops.core.error_styles import media_type, render
from agentops.core.errors import (
    BadRequest,
    Forbidden,
    InternalError,
    NotFound,
    Refusal,
    Rejected,
    Unauthorized,
    Unavailable,
)

RENDERED: dict[str, tuple[Refusal, Any]] = {
    "plain": (NotFound(), {"error": "not_found"}),
    "plain-with-more-to-say": (
        BadRequest("no such day", code="invalid_day"),
        {"error": "invalid_day", "message": "no such day"},
    ),
    "detail": (NotFound(), {"detail": "Not found"}),
    "detail-with-more-to-say": (BadRequest("no such day"), {"detail": "no such day"}),
    "error.v1": (
        Unauthorized(hint="send a key"),
        {
            "schema": "error.v1",
            "code": "UNAUTHENTICATED",
            "message": "Authentication required",
            "details": {"hint": "send a key"},
            "request_id": "q",
        },
    ),
    "error.v1-without-a-hint": (
        BadRequest("no such day", code="invalid_day"),
        {"schema": "error.v1", "code": "INVALID_DAY", "message": "no such day", "details": {}, "request_id": "q"},
    ),
    "problem": (
        NotFound(),
        {"type": "about:blank", "title": "Not found", "status": 404, "code": "not_found", "request_id": "q"},
    ),
    "problem-with-more-to-say": (
        BadRequest("no such day"),
        {
            "type": "about:blank",
            "title": "Bad request",
            "status": 400,
            "detail": "no such day",
            "code": "bad_request",
            "request_id": "q",
        },
    ),
    "openai": (
        BadRequest("no such model", param="model"),
        {
            "error": {
                "message": "no such model",
                "type": "invalid_request_error",
                "param": "model",
                "code": "bad_request",
            }
        },
    ),
    "openai-of-the-server": (
        InternalError(),
        {"error": {"message": "Internal error", "type": "server_error", "param": None, "code": "internal_error"}},
    ),
    "anthropic": (
        BadRequest("no such model", param="model"),
        {"type": "error", "error": {"type": "invalid_request_error", "message": "no such model"}, "request_id": "q"},
    ),
    "anthropic-of-the-server": (
        InternalError(),
        {"type": "error", "error": {"type": "api_error", "message": "Internal error"}, "request_id": "q"},
    ),
}


@pytest.mark.parametrize(
    ("name", "refusal", "expected"), [(name, *case) for name, case in RENDERED.items()], ids=RENDERED
)
def test_a_style_writes_a_refusal(name: str, refusal: Refusal, expected: Any) -> None:
    style: Any = next(style for style in get_args(ErrorStyle) if name.startswith(style))
    written = json.loads(render(style, refusal, "q"))
    assert written == expected
    assert list(written) == list(expected)


@pytest.mark.parametrize("style", get_args(ErrorStyle))
def test_only_a_problem_has_a_media_type_of_its_own(style: ErrorStyle) -> None:
    assert media_type(style) == (b"application/problem+json" if style == "problem" else b"application/json")


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Refusal)]
)
def test_every_refusal_has_a_status_a_code_and_a_title(kind: type[Refusal]) -> None:
    refusal = kind()
    assert 400 <= refusal.status < 600
    assert refusal.code
    assert refusal.title
    assert refusal.message == str(refusal) == ""


def test_a_refusal_keeps_what_it_is_given() -> None:
    given = {"X-Why": "because"}
    refusal = BadRequest("why", code="c", hint="h", param="p", headers=given)
    given.clear()
    assert (str(refusal), refusal.code, refusal.hint, refusal.param) == ("why", "c", "h", "p")
    assert refusal.headers == {"X-Why": "because"}


def test_a_verdict_may_be_401_or_403() -> None:
    assert (Rejected().status, Rejected().code) == (401, "unauthorized")
    assert (Rejected(status=403).status, Rejected(status=403).code) == (403, "forbidden")
    assert Rejected(status=403).title == Forbidden.title


def test_what_may_succeed_later_says_when() -> None:
    assert Unavailable(retry_after=7).headers == {"Retry-After": "7"}
