"""What every authenticator promises, then what only this one does, then a whole server."""

from pathlib import Path

import pytest
from agentops import Caller, Identity, Kit, Lane, Rejected, Secret
from agentops.plugins.features.runs import Runs
from agentops.plugins.storage.sqlite import Sqlite
from agentops.testing.auth import AuthContract
from agentops.testing.server import serving
from gateway import signed

from agentops_acme_sso import AcmeSso

KEY = "the-key-that-the-gateway-signs-with"
LAST_KEY = "the-key-that-the-gateway-had-before"
GROUPS = {"engineering": ["runs:*"], "support": ["runs:read"]}


def acme_sso(*keys: str) -> AcmeSso:
    return AcmeSso(keys=[Secret(key) for key in keys], groups=GROUPS)


def caller(session: str) -> Caller:
    return Caller([(b"x-acme-session", session.encode())])


@pytest.mark.asyncio
class TestAcmeSso(AuthContract):
    @pytest.fixture
    def authenticator(self) -> AcmeSso:
        return acme_sso(KEY)

    @pytest.fixture
    def good(self) -> Caller:
        return caller(signed(KEY, "ada@acme.example", "engineering"))

    @pytest.fixture
    def wrong(self) -> Caller:
        return caller(signed("a-key-that-somebody-made-up-at-home", "ada@acme.example", "engineering"))


@pytest.mark.asyncio
async def test_what_the_gateway_says_is_believed() -> None:
    identity = await acme_sso(KEY).authenticate(caller(signed(KEY, "ada@acme.example", "support", "unheard-of")))
    assert isinstance(identity, Identity)
    assert identity.subject == "ada@acme.example"
    assert identity.permissions == frozenset({"runs:read"})


@pytest.mark.asyncio
async def test_a_key_can_be_replaced_while_sessions_last() -> None:
    for key in (KEY, LAST_KEY):
        assert await acme_sso(KEY, LAST_KEY).authenticate(caller(signed(key, "ada@acme.example"))) is not None


@pytest.mark.asyncio
async def test_a_session_that_has_ended_is_refused() -> None:
    with pytest.raises(Rejected):
        await acme_sso(KEY).authenticate(caller(signed(KEY, "ada@acme.example", seconds=-1)))


@pytest.mark.asyncio
async def test_a_session_that_names_nobody_is_refused() -> None:
    with pytest.raises(Rejected):
        await acme_sso(KEY).authenticate(caller(signed(KEY, "")))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"keys": [], "groups": GROUPS}, "keys"),
        ({"keys": [Secret(KEY), Secret("guess-me")], "groups": GROUPS}, "keys[1]"),
        ({"keys": [Secret(KEY)], "groups": {"support": ["everything"]}}, "groups.support"),
    ],
)
def test_a_mistake_is_told_before_the_server_starts(settings: dict[str, object], key: str) -> None:
    (problem,) = AcmeSso(**settings).check()
    assert problem.key == key
    assert "guess-me" not in str(problem)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "group", "status"),
    [("GET", "engineering", 200), ("POST", "engineering", 201), ("GET", "support", 200), ("POST", "support", 403)],
)
async def test_a_server_lets_groups_do_what_they_may(method: str, group: str, status: int, tmp_path: Path) -> None:
    kit = Kit(
        storage=Sqlite(path=str(tmp_path / "test.sqlite")),
        auth={"acme": acme_sso(KEY)},
        lanes=[Lane("/api", auth=["acme"], serve=[Runs()])],
    )
    headers = {"x-acme-session": signed(KEY, "ada@acme.example", group), "content-type": "application/json"}
    async with serving(kit) as server:
        assert (await server.client.request(method, "/api/runs")).status_code == 401
        assert (await server.client.request(method, "/api/runs", headers=headers, content=b"{}")).status_code == status
