"""The OpenAPI document: what Litestar knows of the routes, what they say of themselves, and how each lane refuses."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from litestar.openapi.plugins import JsonRenderPlugin

from agentops.core.error_styles import media_type, render
from agentops.core.errors import Forbidden, Refusal, Unauthorized
from agentops.core.http.describing import Documented
from agentops.core.http.guard import PUBLIC
from agentops.core.lanes import holds
from agentops.core.ports.credential import schemes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from litestar import Litestar, Request
    from litestar.handlers import HTTPRouteHandler

    from agentops.core.config.settings import ErrorStyle
    from agentops.core.deployment import Deployment
    from agentops.core.ports.auth import Authenticator

_COMPONENT: Final = "#/components/schemas/{name}"
_AS_IT_IS: Final = {"example", "examples", "value"}
_SOME_REQUEST: Final = "c89bbbcf38fc67bd9b9c000000000001"


class Document(JsonRenderPlugin):
    """Serves the document at `/schema` and `/schema/openapi.json`; it is made when it is first asked for."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(path=["/", "/openapi.json"])
        self._deployment = deployment
        self._made: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if self._made is None:
            self._made = msgspec.json.encode(_complete(openapi_schema, request.app, self._deployment))
        return self._made


def _complete(document: dict[str, Any], app: Litestar, deployment: Deployment) -> dict[str, Any]:
    paths = dict(document["paths"])
    used: set[ErrorStyle] = set()
    for path, method, handler in _operations(app):
        lane = next((lane for lane in deployment.lanes if holds(lane.path, path)), None)
        operation = dict(paths[path][method])
        refusals: list[Refusal] = []
        if issubclass(handler.operation_class, Documented):
            operation |= {"responses": {}, **handler.operation_class.says}
            refusals += handler.operation_class.refusals
        if lane is not None:
            if not lane.is_unguarded(deployment.auth) and not handler.opt.get(PUBLIC):
                operation["security"] = [
                    {scheme: []}
                    for name in lane.auth
                    if deployment.auth[name].armed
                    for scheme in _schemes(name, deployment.auth[name])
                ]
                refusals += [Unauthorized(), Forbidden()]
            style = lane.style_at(path)
            operation["responses"] = operation["responses"] | _refused(refusals, style)
            used.add(style)
        paths[path] = paths[path] | {method: operation}
    types: dict[Any, Any] = {}
    paths = _with_schemas(paths, types)
    _, schemas = msgspec.json.schema_components(types, ref_template=_COMPONENT)
    components = {
        "schemas": document["components"].get("schemas", {}) | schemas | {_NAMES[s]: _SHAPES[s] for s in used},
        "securitySchemes": {
            scheme: described
            for name, auth in deployment.auth.items()
            if auth.armed
            for scheme, described in _schemes(name, auth).items()
        },
    }
    return document | {"paths": paths, "components": components}


def _operations(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.resolve_include_in_schema():
                for method in handler.http_methods:
                    yield route.path_format, method.lower(), handler


def _refused(refusals: Sequence[Refusal], style: ErrorStyle) -> dict[str, Any]:
    """Answers by status; several refusals of one status are examples of the same answer."""
    answers: dict[str, Any] = {}
    for refusal in refusals:
        content = {"schema": {"$ref": _COMPONENT.format(name=_NAMES[style])}, "examples": {}}
        answer = answers.setdefault(
            str(refusal.status),
            {"description": refusal.title, "content": {media_type(style).decode(): content}},
        )
        examples = answer["content"][media_type(style).decode()]["examples"]
        examples[refusal.code] = {"value": msgspec.json.decode(render(style, refusal, _SOME_REQUEST))}
    return answers


def _with_schemas(value: Any, types: dict[Any, Any]) -> Any:
    """The same, with a schema for each Python type; those that have a name are left to the components."""
    if isinstance(value, dict):
        return {
            key: inner if key in _AS_IT_IS else _with_schemas(inner, types)
            for key, inner in cast("dict[str, Any]", value).items()
        }
    if isinstance(value, list):
        return [_with_schemas(inner, types) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, (str, int, float, NoneType)):
        return value
    types[value] = None
    (schema,), _ = msgspec.json.schema_components([value], ref_template=_COMPONENT)
    return schema


def _schemes(name: str, authenticator: Authenticator) -> Mapping[str, Mapping[str, str]]:
    """By the name of the authenticator; where it looks in other places too, those are numbered."""
    first, *more = schemes_of(authenticator) or [{"type": "apiKey", "in": "header", "name": "Authorization"}]
    return {name: first} | {f"{name}.{number}": scheme for number, scheme in enumerate(more, 2)}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


_TEXT: Final = {"type": "string"}
_NAMES: Final[Mapping[ErrorStyle, str]] = {
    "plain": "Error",
    "detail": "ErrorDetail",
    "error.v1": "ErrorV1",
    "problem": "Problem",
    "openai": "OpenAIError",
    "anthropic": "AnthropicError",
}
_SHAPES: Final[Mapping[ErrorStyle, Any]] = {
    "plain": _object("error", error=_TEXT, message=_TEXT),
    "detail": _object("detail", detail=_TEXT),
    "error.v1": _object(
        "schema code message details request_id",
        schema={"const": "error.v1"},
        code=_TEXT,
        message=_TEXT,
        details=_object("", hint=_TEXT),
        request_id=_TEXT,
    ),
    "problem": _object(
        "type title status code request_id",
        type=_TEXT,
        title=_TEXT,
        status={"type": "integer"},
        detail=_TEXT,
        code=_TEXT,
        request_id=_TEXT,
    ),
    "openai": _object(
        "error",
        error=_object(
            "message type param code", message=_TEXT, type=_TEXT, param={"type": ["string", "null"]}, code=_TEXT
        ),
    ),
    "anthropic": _object(
        "type error request_id",
        type={"const": "error"},
        error=_object("type message", type=_TEXT, message=_TEXT),
        request_id=_TEXT,
    ),
}
