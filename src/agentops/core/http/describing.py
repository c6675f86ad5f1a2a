"""What a feature says of its routes, for the OpenAPI document; wherever a schema stands, a Python type may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from litestar.openapi.spec import Operation

from agentops.core.config.settings import ServerSettings
from agentops.core.errors import BadRequest, Refusal, TooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NEXT_PAGE: Final = {"description": 'The next page, as `<...>; rel="next"`; absent when there is none.', "schema": str}
"""The header `Link` of a list."""

_BODY_MOST: Final = ServerSettings().max_body_bytes


class Documented(Operation):
    """An operation whose handler decodes for itself, so that its types say nothing."""

    says: ClassVar[Mapping[str, Any]] = {}
    refusals: ClassVar[Sequence[Refusal]] = ()


def documented(summary: str, *, refusals: Sequence[Refusal] = (), **says: Any) -> dict[str, Any]:
    """What a handler's decorator takes to be described in full.

    `says` are fields of an OpenAPI operation, where a Python type may stand for its schema. The refusals are written
    in the style of the lane that serves the route, next to those of its authenticators.
    """
    described = type("Documented", (Documented,), {"says": says, "refusals": refusals})
    return {"summary": summary, "operation_class": described}


def json_example(kind: Any, example: Any) -> dict[str, Any]:
    """Content that is JSON."""
    return {"application/json": {"schema": kind, "example": example}}


def json_examples(kind: Any, **examples: object) -> dict[str, Any]:
    """Content that is JSON and may look quite different, with an example of each."""
    return {"application/json": with_examples(kind, **examples)}


def with_examples(kind: Any, **examples: object) -> dict[str, Any]:
    """Content of a type that the caller names."""
    return {"schema": kind, "examples": {name: {"value": value} for name, value in examples.items()}}


def answered(description: str, kind: Any, example: Any, **more: Any) -> dict[str, Any]:
    return {"description": description, "content": json_example(kind, example), **more}


def query_parameter(name: str, description: str, kind: Any = str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": kind, **more}


def limit_parameter(default: int, most: int, example: int) -> dict[str, Any]:
    """As `limit_of` reads it."""
    described = f"How many at most; over {most} is taken as {most}."
    return query_parameter("limit", described, {"type": "integer", "minimum": 1, "default": default}, example=example)


def refused_bodies(most: int = _BODY_MOST) -> Sequence[Refusal]:
    """Of a route that takes JSON."""
    return (
        BadRequest("JSON is malformed: invalid character (byte 0)", code="invalid_json"),
        TooLarge(f"a body may have {most} bytes at most"),
        UnsupportedMediaType("send application/json, not text/plain"),
    )
