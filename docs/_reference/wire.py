"""The routes of the embedded default, from the OpenAPI document it serves, and what no such document says."""

from __future__ import annotations

from typing import Any, Final

from agentops import Kit

from .markup import table

METHODS: Final = ("get", "post", "put", "patch", "delete")

ABOUT: Final = """# The wire

The routes of the deployment `dashboard`, the embedded default. A running server gives the same as an OpenAPI document
at `/schema/openapi.json`, and as pages to read and to try at `/schema`. With another lane path, `/api` reads otherwise.

Ids of events are numbers written as strings; they grow within a run, in the order of commits, and are never used twice.
Times are epoch milliseconds. `GET …/events` takes `after` (an id) and `limit` (500 unless told, 1000 at most);
`GET /api/runs` takes `limit`, `before`, `status` and `q`, and while there is more its answer has a `Link` to it.
"""

STREAMS: Final = """## Streams

A stream opens with the comment `: connected`, and shows each event as

```text
id: 16
data: {"id":"16","runId":"trip-to-oslo", …}
```

and a blank line, so that a browser's `onmessage` gets it. `: heartbeat <epoch ms>` keeps it open. `Last-Event-ID`, or
`?after=` where a header cannot be set, resumes right behind that id; without either the stream starts now. Where the
cursor asks for events that retention removed, one `event: gap` with `data: {"after": "5", "oldest": "900"}` says so.
"""


def document() -> dict[str, Any]:
    return Kit.from_config("dashboard", environ={}).app().openapi_schema.to_schema()


def page() -> str:
    parts = [ABOUT]
    for path, methods in document()["paths"].items():
        parts.append(f"## `{path}`\n")
        parts += [_route(method.upper(), methods[method]) for method in METHODS if method in methods]
    return "\n".join([*parts, STREAMS])


def _route(method: str, operation: dict[str, Any]) -> str:
    lines = [f"**{method}** {operation.get('summary', '')}\n"]
    if description := operation.get("description"):
        lines.append(f"{description}\n")
    parameters = [
        (f"`{each['name']}`", each["in"], each.get("description", "")) for each in operation.get("parameters", [])
    ]
    if parameters:
        lines.append(table(("parameter", "in", "what it does"), parameters))
    answers = [
        (status, ", ".join(f"`{kind}`" for kind in answer.get("content", {})), answer.get("description", ""))
        for status, answer in operation.get("responses", {}).items()
    ]
    lines.append(table(("answer", "as", "when"), answers))
    return "\n".join(lines)
