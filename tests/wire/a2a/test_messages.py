"""What is sent and answered: nothing breaks it, nothing secret is told, and the document says what is true."""

from __future__ import annotations

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.wire.a2a.people import PASSWORD, A2a, registration, started
from tests.wire.test_openapi import document_of, operations, validate
from tests.wire.tokens import SECRET, bearer

pytestmark = pytest.mark.asyncio(loop_scope="session")

PUBLIC = {"/auth/login": {"username": "a", "password": "b"}, "/auth/refresh": {"refresh_token": "x"}}
BODIES = PUBLIC | {
    "/auth/register": registration("hostile"),
    "/auth/password": {"old": PASSWORD, "new": PASSWORD},
    "/users/x": {"role": "viewer"},
}


def hostile(path: str) -> dict[str, bytes]:
    """Bodies that are none for this path, each wrong in one way."""
    good = BODIES[path]
    wrong = {
        "empty": b"",
        "null": b"null",
        "list": b"[]",
        "text": b'"a"',
        "number": b"7",
        "cut-off": json.dumps(good).encode()[:-1],
        "not-utf-8": b'{"username":"\xff"}',
        "utf-16": json.dumps(good).encode("utf-16"),
        "deep": b"[" * 50_000,
        "more-behind": json.dumps(good).encode() + b"{}",
    }
    for name in good:
        wrong |= {
            f"{name}-is-a-number": json.dumps(good | {name: 7}).encode(),
            f"{name}-is-a-list": json.dumps(good | {name: ["a"]}).encode(),
            f"{name}-is-half-a-pair": json.dumps(good | {name: "\ud800"}).encode(),
        }
    if path not in PUBLIC:
        wrong["an-unknown-field"] = json.dumps(good | {"colour": "red"}).encode()
    return wrong


@pytest.mark.parametrize("path", BODIES)
async def test_no_body_breaks_it(a2a: A2a, path: str) -> None:
    method = "PATCH" if path.startswith("/users") else "POST"
    for how, body in hostile(path).items():
        answer = await a2a.api.request(method, path, content=body, headers=a2a.admin.headers)
        assert (how, answer.status_code, list(answer.json())) == (how, 400, ["detail"])
    huge = b'{"username":"%b"}' % (b"a" * 70_000)
    answer = await a2a.api.request(method, path, content=huge, headers=a2a.admin.headers)
    assert (answer.status_code, list(answer.json())) == (413, ["detail"])
    for kind in ("text/plain", "multipart/form-data; boundary=x"):
        answer = await a2a.api.request(method, path, content=b"{}", headers={**a2a.admin.headers, "Content-Type": kind})
        assert (answer.status_code, list(answer.json())) == (415, ["detail"])


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"username=a",
        b"password=a",
        b"username=a&username=b&password=c",
        b"username=a&password=b&password=c",
        b"username=%ff&password=b",
        b"username=\xff&password=b",
        b"username=a&password=b" + b"&x=y" * 100,
    ],
)
async def test_no_form_breaks_it(a2a: A2a, form: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await a2a.api.post("/auth/login", content=form, headers=headers)
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])


@pytest.mark.parametrize("form", [b"username=%00&password=%00", b"username=&password=", b"username=a+b&password=%2B"])
async def test_a_form_may_hold_anything(a2a: A2a, form: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await a2a.api.post("/auth/login", content=form, headers=headers)).status_code == 401


async def test_a_trailing_slash_changes_nothing(a2a: A2a) -> None:
    person = await a2a.person("admin")
    for path in ("/auth/me", "/auth/permissions", "/auth/roles", "/users"):
        with_slash, without = [await a2a.api.get(f"{path}{end}", headers=person.headers) for end in ("/", "")]
        assert (with_slash.status_code, with_slash.content) == (200, without.content)
    assert (await a2a.api.post("/auth/refresh/", json={"refresh_token": person.refresh_token})).status_code == 200
    assert (await a2a.api.patch(f"/users/{person.id}/", json={}, headers=person.headers)).status_code == 200
    assert (await a2a.api.post("/auth/logout/", headers=person.headers)).status_code == 204
    body = {"username": person.username, "password": PASSWORD}
    assert (await a2a.api.post("/auth/login/", json=body)).status_code == 200


async def test_no_secret_is_told_in_the_log_or_the_trail(
    storage: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    canary, guess = "canary-" + "c" * 30, "canary-" + "g" * 30
    async with started(storage, A2A_ADMIN_PASSWORD=PASSWORD) as a2a:
        wanted = registration("tweety", password=canary)
        answers = [await a2a.api.post("/auth/register", json=wanted, headers=a2a.admin.headers)]
        answers += [await a2a.login("tweety", guess), await a2a.login(guess, guess)]
        tokens = await a2a.tokens("tweety", canary)
        change = {"old": canary, "new": guess, "newer": guess}
        headers = bearer(tokens["access_token"])
        answers += [
            await a2a.api.post("/auth/password", json=change, headers=headers),
            await a2a.api.post("/auth/password", json={"old": guess, "new": canary}, headers=headers),
            await a2a.api.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]}),
            await a2a.refresh(tokens["refresh_token"]),
        ]
        trail = json.dumps(await a2a.trail(limit="1000"))
    told = capsys.readouterr().err + "".join(answer.text for answer in answers) + trail.replace(f'"{guess}"', "")
    assert "tweety" in told
    for secret in (canary, guess, PASSWORD, SECRET, *tokens["refresh_token"].split("."), tokens["access_token"]):
        assert secret not in told.replace(tokens["refresh_token"].partition(".")[0], "")


async def test_it_is_described_truly(a2a: A2a) -> None:
    document = await document_of(a2a.up.server.client)
    OpenAPIV31SpecValidator(document).validate()
    paths = {path.removeprefix("/api/v1") for _, path, _ in operations(document)}
    assert paths >= {"/auth/login", "/auth/me", "/users/{user_id}", "/audit", "/auth/api-keys"}
    for _, path, operation in operations(document):
        assert path in {"/healthz", "/api/v1/live", "/api/v1/system/status"} or "503" in operation["responses"], path
        if path.startswith(("/api/v1/auth/", "/api/v1/users", "/api/v1/audit")) and "api-keys" not in path:
            holders = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (kind for holder in holders for kind in holder.get("content", {}).values()):
                assert content["examples"]
                for example in content["examples"].values():
                    validate(document, content["schema"], example["value"])
            for part in operation.get("parameters", ()):
                if "example" in part:
                    validate(document, part["schema"], part["example"])
