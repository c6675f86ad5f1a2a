"""Credentials as no client should send them, over a bare socket, to the program as it is served.

Each gets a defined answer: the engine's own 400, or a refusal in the style of its lane. None is a 5xx, none is let in.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
import pytest_asyncio

from agentops import Kit, Lane
from agentops.plugins.auth.trusted_header import TrustedHeader
from agentops.plugins.features.runs import Runs
from agentops.testing.server import serving
from tests.cli.running import Folder
from tests.core.parts import storage_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from agentops.testing.server import LiveServer
    from tests.cli.running import Serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENGINES: Final = ["uvicorn", "granian"]

KEY: Final = b"the-key-that-opens"
TOKEN: Final = b"the-token-that-opens"
LONG: Final = 65_536

GOOD_KEY: Final = b"x-api-key: " + KEY
WRONG_KEY: Final = b"x-api-key: wrong"
GOOD_TOKEN: Final = b"Authorization: Bearer " + TOKEN
WRONG_TOKEN: Final = b"Authorization: Bearer wrong"
ADA: Final = b"x-user-id: ada"

PROXY: Final = b"192.0.2.1"
"""The proxy that the lane `/far` believes; nobody can connect from there."""

CONFIG: Final = f"""
[server]
port = 0

[storage]
use = "sqlite"
path = "events.sqlite"

[auth.key]
use = "static-key"
keys = ["{KEY.decode()}"]
wrong_key_status = 403

[auth.token]
use = "static-key"
header = "Authorization"
scheme = "Bearer"
keys = ["{TOKEN.decode()}"]

[auth.far-proxy]
use = "trusted-header"
proxies = ["{PROXY.decode()}"]
permissions = ["runs:read"]

[auth.near-proxy]
use = "trusted-header"
proxies = ["127.0.0.1"]
permissions = ["runs:read"]

[lanes.key]
path = "/key"
auth = ["key"]
serve = ["runs"]
errors = "error.v1"

[lanes.token]
path = "/token"
auth = ["token"]
serve = ["runs"]
errors = "problem"

[lanes.chain]
path = "/chain"
auth = ["key", "token"]
serve = ["runs"]
errors = "openai"

[lanes.far]
path = "/far"
auth = ["far-proxy"]
serve = ["runs"]
errors = "plain"

[lanes.near]
path = "/near"
auth = ["near-proxy"]
serve = ["runs"]
errors = "detail"
"""

STYLES: Final = {
    "/key": {"schema", "code", "message", "details", "request_id"},
    "/token": {"type", "title", "status", "code", "request_id"},
    "/chain": {"error"},
    "/far": {"error"},
    "/near": {"detail"},
}


class Answer(NamedTuple):
    status: int
    head: bytes
    body: bytes


def configured(folder: Path) -> Folder:
    (folder / "deployment.toml").write_text(CONFIG)
    return Folder(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    """One server of each engine; when it has stopped, nothing has failed in it, and no credential is in its log."""
    async with configured(tmp_path_factory.mktemp("headers")).serving("--engine", request.param) as server:
        yield server
        done = await server.signalled(signal.SIGTERM)
    written = done.out + done.err
    assert "request.failed" not in written
    assert "auth.failed" not in written
    assert "Traceback" not in written
    assert KEY.decode() not in written
    assert TOKEN.decode() not in written


async def sent(port: int, request: bytes) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ", 2)[1]), head, body)


def request_of(start: str, *lines: bytes, body: bytes = b"") -> bytes:
    """A request of these header lines, as they are, after which the server closes the connection."""
    head = [b"%b HTTP/1.1" % start.encode(), b"Host: localhost", *lines, b"Connection: close"]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


async def asked(server: Serving, path: str, *lines: bytes) -> Answer:
    return await sent(server.port, request_of(f"GET {path}", *lines))


def assert_refused(answer: Answer, lane: str, status: int) -> None:
    assert answer.status == status, answer
    told = json.loads(answer.body)
    assert told.keys() == STYLES[lane]
    assert KEY not in answer.head + answer.body
    assert TOKEN not in answer.head + answer.body


KEYS: Final[dict[str, tuple[int, list[bytes]]]] = {
    "none": (401, []),
    "empty": (401, [b"x-api-key:"]),
    "blank": (401, [b"x-api-key: \t "]),
    "twice": (401, [GOOD_KEY] * 2),
    "twice-in-two-spellings": (401, [GOOD_KEY, b"X-API-KEY: " + KEY]),
    "good-then-wrong": (401, [GOOD_KEY, WRONG_KEY]),
    "wrong-then-good": (401, [WRONG_KEY, GOOD_KEY]),
    "empty-then-good": (401, [b"x-api-key:", GOOD_KEY]),
    "wrong": (403, [WRONG_KEY]),
    "two-in-one": (403, [GOOD_KEY + b", " + KEY]),
    "quoted": (403, [b'x-api-key: "' + KEY + b'"']),
    "escaped": (403, [b"x-api-key: %74" + KEY[1:]]),
    "other-case": (403, [b"x-api-key: " + KEY.upper()]),
    "tab-inside": (403, [b"x-api-key: the-key\t-that-opens"]),
    "latin-1": (403, [GOOD_KEY + b"\xe9"]),
    "utf-8": (403, [b"x-api-key: " + "é愛".encode()]),
    "not-utf-8": (403, [b"x-api-key: \xff\xfe\xc0\x80"]),
    "64-kb": (403, [b"x-api-key: " + b"a" * LONG]),
    "64-kb-that-begin-well": (403, [GOOD_KEY + b"a" * LONG]),
    "64-kb-not-ascii": (403, [b"x-api-key: " + b"\xe9" * LONG]),
    "with-a-scheme": (403, [b"x-api-key: Bearer " + KEY]),
    "underscores": (401, [b"x_api_key: " + KEY]),
    "another-header": (401, [b"x-api-keys: " + KEY, b"x-original-x-api-key: " + KEY]),
    "in-a-cookie": (401, [b"Cookie: x-api-key=" + KEY]),
    "as-a-bearer-token": (401, [b"Authorization: Bearer " + KEY]),
}


@pytest.mark.parametrize(("status", "lines"), KEYS.values(), ids=KEYS)
async def test_a_key_that_is_not_exactly_there_once(server: Serving, status: int, lines: list[bytes]) -> None:
    assert_refused(await asked(server, "/key/runs", *lines), "/key", status)


BROKEN: Final[dict[str, list[bytes]]] = {
    "folded": [b"x-api-key: the-key-\r\n that-opens"],
    "folded-with-a-tab": [b"x-api-key: the-key-\r\n\tthat-opens"],
    "folded-right-behind-the-name": [b"x-api-key:\r\n " + KEY],
    "folded-into-another": [b"x-other: a\r\n x-api-key: " + KEY],
    "indented": [b" x-api-key: " + KEY],
    "space-before-the-colon": [b"x-api-key : " + KEY],
    "no-colon": [b"x-api-key " + KEY],
    "no-name": [b": " + KEY],
    "nul-behind": [GOOD_KEY + b"\0"],
    "nul-in-front": [b"x-api-key: \0" + KEY],
    "nul-in-the-name": [b"x-api-key\0: " + KEY],
    "carriage-return-inside": [b"x-other: a\rx-api-key: " + KEY],
    "control-character": [GOOD_KEY + b"\x01"],
    "delete": [GOOD_KEY + b"\x7f"],
    "name-not-ascii": [b"x-api-k\xe9y: " + KEY],
}


@pytest.mark.parametrize("lines", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("lane", ["/key", "/near"])
async def test_what_is_no_header_is_refused_by_the_engine(server: Serving, lane: str, lines: list[bytes]) -> None:
    lines = [line.replace(b"x-api-key", b"x-user-id") if lane == "/near" else line for line in lines]
    assert (await asked(server, f"{lane}/runs", *lines)).status == 400


@pytest.mark.parametrize(
    "line",
    [b"x-api-key: ", b"X-API-KEY: ", b"x-ApI-kEy:", b"X-Api-Key:\t", b"x-api-key:  \t  "],
    ids=["lower", "upper", "odd", "tab", "blanks"],
)
async def test_case_and_white_space_around_do_not_matter(server: Serving, line: bytes) -> None:
    assert (await asked(server, "/key/runs", line + KEY)).status == 200
    assert (await asked(server, "/key/runs", line + KEY + b" \t ")).status == 200


QUERIES: Final = ["x-api-key", "X-API-Key", "api_key", "apikey", "key", "access_token", "token", "authorization"]


@pytest.mark.parametrize("lane", ["/key", "/token", "/chain"])
async def test_a_credential_in_the_path_or_the_query_never_works(server: Serving, lane: str) -> None:
    for secret in (KEY.decode(), TOKEN.decode(), f"Bearer%20{TOKEN.decode()}"):
        query = "&".join(f"{name}={secret}" for name in QUERIES)
        assert_refused(await asked(server, f"{lane}/runs?{query}"), lane, 401)
        assert_refused(await asked(server, f"{lane}/stream?{query}"), lane, 401)
        assert_refused(await asked(server, f"http://x:{secret}@localhost{lane}/runs"), lane, 401)


async def test_a_credential_in_the_body_never_works(server: Serving) -> None:
    form = b"x-api-key=" + KEY
    lines = [b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: %d" % len(form)]
    assert_refused(await sent(server.port, request_of("POST /key/runs", *lines, body=form)), "/key", 401)


def with_trailer(lane: str, field: bytes, *lines: bytes) -> bytes:
    """A request whose body, in chunks, is followed by this field."""
    body = b"2\r\n{}\r\n0\r\n%b\r\n\r\n" % field
    return request_of(f"POST {lane}/runs", *lines, b"Transfer-Encoding: chunked", body=body)


TRAILERS: Final[dict[str, tuple[str, bytes]]] = {
    "key": ("/key", GOOD_KEY),
    "token": ("/token", GOOD_TOKEN),
    "name": ("/near", ADA),
}


@pytest.mark.parametrize(("lane", "field"), TRAILERS.values(), ids=TRAILERS)
async def test_a_credential_behind_the_body_never_works(server: Serving, lane: str, field: bytes) -> None:
    """Left to itself uvicorn gives trailers for headers when they come in one packet, or while a request waits."""
    assert_refused(await sent(server.port, with_trailer(lane, field)), lane, 401)
    before = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    both = await sent(server.port, before + with_trailer(lane, field))
    assert both.status == 200
    assert both.body.partition(b"HTTP/1.1 ")[2].startswith(b"401 ")


@pytest.mark.parametrize(("lane", "field"), TRAILERS.values(), ids=TRAILERS)
async def test_a_credential_sent_in_front_and_behind_counts_once(server: Serving, lane: str, field: bytes) -> None:
    answer = await sent(server.port, with_trailer(lane, field, field))
    assert answer.status == (403 if lane == "/near" else 201)


TOKENS: Final[dict[str, list[bytes]]] = {
    "twice": [GOOD_TOKEN] * 2,
    "twice-in-two-spellings": [GOOD_TOKEN, b"AUTHORIZATION: bearer " + TOKEN],
    "good-then-another-scheme": [GOOD_TOKEN, b"Authorization: Basic YTpi"],
    "another-scheme-then-good": [b"Authorization: Basic YTpi", GOOD_TOKEN],
    "two-in-one": [GOOD_TOKEN + b", Bearer " + TOKEN],
    "another-scheme": [b"Authorization: Basic " + TOKEN],
    "no-scheme": [b"Authorization: " + TOKEN],
    "scheme-alone": [b"Authorization: Bearer"],
    "scheme-and-a-space": [b"Authorization: Bearer "],
    "scheme-twice": [b"Authorization: Bearer Bearer " + TOKEN],
    "tab-behind-the-scheme": [b"Authorization: Bearer\t" + TOKEN],
    "64-kb": [b"Authorization: Bearer " + TOKEN * (LONG // len(TOKEN))],
    "64-kb-of-blanks": [b"Authorization: Bearer" + b" " * LONG + b"wrong"],
    "not-ascii": [b"Authorization: Bearer \xe9\xff"],
    "of-the-proxy": [b"Proxy-Authorization: Bearer " + TOKEN],
}


@pytest.mark.parametrize("lines", TOKENS.values(), ids=TOKENS)
async def test_a_token_that_is_not_exactly_there_once(server: Serving, lines: list[bytes]) -> None:
    assert_refused(await asked(server, "/token/runs", *lines), "/token", 401)


CHAINS: Final[dict[str, tuple[int, list[bytes]]]] = {
    "both-good": (200, [GOOD_KEY, GOOD_TOKEN]),
    "the-first-alone": (200, [GOOD_KEY]),
    "the-second-alone": (200, [GOOD_TOKEN]),
    "the-first-good-decides": (200, [WRONG_TOKEN, GOOD_KEY]),
    "the-first-wrong-decides": (403, [GOOD_TOKEN, WRONG_KEY]),
    "the-first-empty-says-nothing": (200, [b"x-api-key:", GOOD_TOKEN]),
    "the-first-twice-decides": (401, [GOOD_KEY, GOOD_KEY, GOOD_TOKEN]),
    "both-wrong": (403, [WRONG_TOKEN, WRONG_KEY]),
    "the-second-wrong": (401, [WRONG_TOKEN]),
    "the-second-twice": (401, [GOOD_TOKEN, GOOD_TOKEN]),
    "each-in-the-other's-place": (403, [b"x-api-key: " + TOKEN, b"Authorization: Bearer " + KEY]),
    "neither": (401, []),
}


@pytest.mark.parametrize(("status", "lines"), CHAINS.values(), ids=CHAINS)
async def test_of_two_credentials_the_first_authenticator_decides(
    server: Serving, status: int, lines: list[bytes]
) -> None:
    answer = await asked(server, "/chain/runs", *lines)
    if status == 200:
        assert answer.status == 200
    else:
        assert_refused(answer, "/chain", status)


FORWARDED: Final[dict[str, list[bytes]]] = {
    "x-forwarded-for": [b"X-Forwarded-For: %b"],
    "x-forwarded-for-twice": [b"X-Forwarded-For: %b", b"X-Forwarded-For: %b"],
    "x-forwarded-for-of-several": [b"X-Forwarded-For: %b, %b"],
    "x-forwarded-for-with-a-port": [b"X-Forwarded-For: %b:4711", b"X-Forwarded-Proto: https"],
    "forwarded": [b"Forwarded: for=%b;proto=https;by=%b"],
    "x-real-ip": [b"X-Real-IP: %b"],
    "others": [b"True-Client-IP: %b", b"X-Client-IP: %b", b"CF-Connecting-IP: %b", b"Via: 1.1 %b"],
}


@pytest.mark.parametrize("lines", FORWARDED.values(), ids=FORWARDED)
async def test_no_header_moves_the_peer(server: Serving, lines: list[bytes]) -> None:
    """Uvicorn, left to itself, believes `X-Forwarded-For` of whoever connects from 127.0.0.1, as this test does."""
    assert_refused(await asked(server, "/far/runs", ADA, *from_the_proxy(lines)), "/far", 401)
    assert (await asked(server, "/near/runs", ADA, *from_the_proxy(lines))).status == 200


async def test_the_proxy_protocol_is_not_spoken(server: Serving) -> None:
    line = b"PROXY TCP4 %b 127.0.0.1 4711 8787\r\n" % PROXY
    assert (await sent(server.port, line + request_of("GET /far/runs", ADA))).status == 400


NAMES: Final[dict[str, list[bytes]]] = {
    "none": [],
    "empty": [b"x-user-id:"],
    "twice": [ADA, b"X-User-ID: ada"],
    "64-kb": [b"x-user-id: " + b"a" * LONG],
    "latin-1": [b"x-user-id: ad\xe9"],
    "no-break-space": [b"x-user-id: ada\xa0"],
    "next-line": [b"x-user-id: ada\x85"],
    "tab-inside": [b"x-user-id: ada\tlovelace"],
    "underscores": [b"x_user_id: ada"],
}


@pytest.mark.parametrize("lines", NAMES.values(), ids=NAMES)
async def test_a_name_that_is_none(server: Serving, lines: list[bytes]) -> None:
    assert_refused(await asked(server, "/near/runs", *lines), "/near", 401)
    assert_refused(await asked(server, "/far/runs", *lines), "/far", 401)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_proxy_on_ipv4_is_known_to_a_server_on_ipv6(tmp_path: Path, engine: str) -> None:
    """On such a socket the peer is `::ffff:127.0.0.1`."""
    async with configured(tmp_path).serving("--engine", engine, "--host", "::") as server:
        assert (await asked(server, "/near/runs", ADA)).status == 200
        assert_refused(await asked(server, "/far/runs", ADA), "/far", 401)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server_for_tests(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveServer]:
    lane = Lane("/far", auth=["proxy"], serve=[Runs()])
    auth = {"proxy": TrustedHeader(proxies=[PROXY.decode()], permissions=["runs:read"])}
    async with serving(Kit(storage=storage_in(tmp_path_factory.mktemp("far")), auth=auth, lanes=[lane])) as server:
        yield server


@pytest.mark.parametrize("lines", FORWARDED.values(), ids=FORWARDED)
async def test_no_header_moves_the_peer_of_the_server_for_tests(
    server_for_tests: LiveServer, lines: list[bytes]
) -> None:
    answer = await sent(server_for_tests.port, request_of("GET /far/runs", ADA, *from_the_proxy(lines)))
    assert answer.status == 401


def from_the_proxy(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"%b", PROXY) for line in lines]
