"""What a feature says of its routes, put together with what a lane adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from litestar import Request, get
from openapi_spec_validator import OpenAPIV31SpecValidator

from agentops import Authenticator, Caller, Feature, Identity, Kit, Lane, NoSettings, Secret
from agentops.core.config.settings import ErrorStyle
from agentops.core.errors import NotFound
from agentops.core.http.answers import Answer, json_answer
from agentops.core.http.describing import documented
from agentops.plugins.auth.static_key import StaticKey
from agentops.testing.server import serving
from tests.core.parts import storage_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Weather(msgspec.Struct):
    """How it is outside."""

    degrees: int


class Outside(Feature[NoSettings]):
    permissions: ClassVar = {"weather:read": "look out"}
    error_styles: ClassVar = {"/abroad": "openai"}

    def routes(self) -> Sequence[object]:
        said = documented(
            "Look out of the window",
            responses={"200": {"description": "What is there", "content": {"application/json": {"schema": Weather}}}},
            refusals=[NotFound("no window"), NotFound("it is night", code="night")],
        )
        return [
            get("/weather", opt={"permission": "weather:read"}, **said)(self.look),
            get("/plainly", opt={"public": True})(self.look),
            get("/abroad/weather", opt={"permission": "weather:read"}, **said)(self.look),
            get("/hidden", opt={"public": True}, include_in_schema=False)(self.look),
        ]

    async def look(self, request: Request[Any, Any, Any]) -> Answer:
        return json_answer(Weather(7))


class Nod(Authenticator[NoSettings]):
    """Says nothing of what it wants to see."""

    async def authenticate(self, caller: Caller) -> Identity | None:
        return None


STYLES: dict[ErrorStyle, str] = {
    "plain": "Error",
    "detail": "ErrorDetail",
    "error.v1": "ErrorV1",
    "problem": "Problem",
    "openai": "OpenAIError",
    "anthropic": "AnthropicError",
}


async def test_each_lane_adds_its_own(tmp_path: Path) -> None:
    key = StaticKey(header="x-badge", more_headers=["authorization", "x-other"], keys=[Secret("k")])
    lanes = [Lane(f"/{style}", serve=[Outside()], auth=["nod"], errors=style) for style in STYLES]
    lanes.append(Lane("/both", serve=[Outside()], auth=["nod", "key"]))
    async with serving(Kit(storage=storage_in(tmp_path), auth={"nod": Nod(), "key": key}, lanes=lanes)) as server:
        document = (await server.client.get("/schema")).json()
        assert (await server.client.get("/schema")).json() == document
    OpenAPIV31SpecValidator(document).validate()
    assert document["components"]["schemas"]["Weather"]["properties"] == {"degrees": {"type": "integer"}}
    assert document["components"]["securitySchemes"] == {
        "nod": {"type": "apiKey", "in": "header", "name": "Authorization"},
        "key": {"type": "apiKey", "in": "header", "name": "x-badge"},
        "key.2": {"type": "http", "scheme": "bearer"},
        "key.3": {"type": "apiKey", "in": "header", "name": "x-other"},
    }
    both = document["paths"]["/both/weather"]["get"]
    assert both["security"] == [{"nod": []}, {"key": []}, {"key.2": []}, {"key.3": []}]
    assert set(STYLES.values()) < document["components"]["schemas"].keys()
    for style, name in STYLES.items():
        look = document["paths"][f"/{style}/weather"]["get"]
        assert look["summary"] == "Look out of the window"
        assert look["security"] == [{"nod": []}]
        assert look["responses"].keys() == {"200", "401", "403", "404"}
        (content,) = look["responses"]["404"]["content"].values()
        assert content["schema"] == {"$ref": f"#/components/schemas/{name}"}
        assert content["examples"].keys() == {"not_found", "night"}
        assert "security" not in document["paths"][f"/{style}/plainly"]["get"]
        (abroad,) = document["paths"][f"/{style}/abroad/weather"]["get"]["responses"]["404"]["content"].values()
        assert abroad["schema"] == {"$ref": "#/components/schemas/OpenAIError"}
        assert f"/{style}/hidden" not in document["paths"]
