"""Whom a token vouches for, for how long, and what is asked about it later."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from agentops.accounts.audit import Origin
from agentops.accounts.sessions import Sessions
from agentops.accounts.throttle import Throttle
from agentops.accounts.users import NewUser, Users
from agentops.core.errors import StartError
from agentops.core.identity import Identity
from agentops.core.permissions import ROLES
from agentops.core.ports.credential import DescribesCredential
from agentops.core.ports.tokens import IssuesTokens
from agentops.core.ports.withdrawal import Rechecks
from agentops.core.rungs import Rungs
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.features.users import Users as SignIn
from tests.core.parts import storage_in
from tests.security.jwt_making import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    StillClock,
    assert_refused,
    claims,
    let_in,
    on,
    pem,
    private_key,
    shared,
    signed,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

READER = "viewer"
MAPPED: Mapping[str, Any] = {
    "default_permissions": ["runs:read"],
    "roles": {READER: ["agents:read"], "nobody": []},
    "project": "home",
}


async def test_a_token_says_who_its_bearer_is() -> None:
    said = claims(user_id="u-7", role="admin", permissions=["runs:*", "keys:own"], project="blue", jti="t-1")
    assert await let_in(shared(), signed(said)) == Identity(
        "u-7", "blue", frozenset({"runs:*", "keys:own"}), "jwt:t-1", "admin", NOW + 600
    )


async def test_what_a_token_does_not_say_is_the_issuers_default() -> None:
    assert await let_in(shared(), signed(claims())) == Identity("ada", expires_at=NOW + 600)
    identity = await let_in(shared(**MAPPED), signed(claims()))
    assert (identity.project, [*identity.permissions]) == ("home", ["runs:read"])


async def test_claims_may_be_called_otherwise() -> None:
    names = {"subject": ["oid", "sub"], "role": "group", "permissions": "scope", "project": "tenant"}
    said = claims(oid="o-1", group="staff", scope="runs:read runs:write", tenant="blue", role=["x"], project=7)
    assert await let_in(shared(claims=names), signed(said)) == Identity(
        "o-1", "blue", frozenset({"runs:read", "runs:write"}), None, "staff", NOW + 600
    )


@pytest.mark.parametrize(("said", "subject"), [({"user_id": 42}, "42"), ({"user_id": "42", "sub": "ada"}, "42")])
async def test_a_subject_may_be_a_whole_number(said: dict[str, object], subject: str) -> None:
    assert (await let_in(shared(), signed(claims(**said)))).subject == subject


@pytest.mark.parametrize(
    ("said", "granted"),
    [
        ({"permissions": ["runs:read"]}, {"runs:read"}),
        ({"permissions": "runs:read  runs:write"}, {"runs:read", "runs:write"}),
        ({"permissions": ["runs:read", "openid", "Runs:Write", "a:b:c", "*:read", "", "\ud800"]}, {"runs:read"}),
        ({"permissions": "openid profile"}, set()),
        ({"permissions": []}, set()),
        ({"permissions": ""}, set()),
        ({"permissions": ["runs:read"], "role": READER}, {"runs:read"}),
        ({"permissions": [], "role": READER}, set()),
        ({"role": READER}, {"agents:read"}),
        ({"role": "nobody"}, set()),
        ({"role": "stranger"}, {"runs:read"}),
        ({}, {"runs:read"}),
    ],
)
async def test_a_token_grants_what_it_says_else_its_role_else_the_default(
    said: dict[str, object], granted: set[str]
) -> None:
    assert (await let_in(shared(**MAPPED), signed(claims(**said)))).permissions == granted


async def test_it_can_be_described_and_asked_again_and_issues() -> None:
    authenticator = shared()
    assert isinstance(authenticator, DescribesCredential)
    assert isinstance(authenticator, Rechecks)
    assert isinstance(authenticator, IssuesTokens)
    assert authenticator.armed
    assert authenticator.credential() == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


async def test_an_issued_token_is_taken_for_as_long_as_was_said() -> None:
    clock = StillClock()
    authenticator = shared(clock, audience=[AUDIENCE, "other"])
    clock.advance(0.7)
    token = authenticator.issue({"sub": "ada", "role": "user"}, 60)
    identity = await let_in(authenticator, token)
    assert (identity.subject, identity.role, identity.expires_at) == ("ada", "user", NOW + 60)
    assert identity.credential is not None
    clock.advance(59)
    await let_in(authenticator, token)
    clock.advance(1)
    assert_refused(await verdict(authenticator, token))


async def test_each_issued_token_has_a_name_of_its_own_unless_it_is_given_one() -> None:
    authenticator = shared()
    tokens = [authenticator.issue(said, 60) for said in ({"sub": "a"}, {"sub": "a"}, {"sub": "a", "jti": "s-1"})]
    names = [(await let_in(authenticator, token)).credential for token in tokens]
    assert names[2] == "jwt:s-1"
    assert len(set(names)) == 3


async def test_what_an_issuer_says_of_itself_cannot_be_given_to_it() -> None:
    token = shared().issue({"sub": "a", "iss": "other", "aud": "other", "iat": 0, "exp": 2**40}, 60)
    identity = await let_in(shared(), token)
    assert identity.expires_at == NOW + 60


@pytest.mark.parametrize(
    "said",
    [{}, {"sub": ""}, {"sub": "a\0"}, {"sub": "a", "role": 7}, {"sub": "a", "x": "a" * 9000}],
    ids=["no-subject", "empty", "nul", "role", "too-long"],
)
def test_nothing_is_issued_that_would_be_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="would be refused: ") as caught:
        shared().issue(said, 60)
    assert SECRET not in str(caught.value)


def test_nothing_is_issued_that_has_expired() -> None:
    with pytest.raises(ValueError, match="expired"):
        shared().issue({"sub": "ada"}, 0)


async def test_the_issuer_that_has_a_secret_issues() -> None:
    key = {"issuer": "other", "public_key": pem(private_key("ed25519")), "algorithms": ["EdDSA"]}
    own = {"issuer": "own", "secret": SECRET * 2, "algorithms": ["HS512"], "types": ["own+jwt"]}
    authenticator = on(StillClock(), Jwt(issuers=[key, own]))
    assert (await let_in(authenticator, authenticator.issue({"sub": "ada"}, 60))).subject == "ada"


def test_without_a_secret_it_says_why_it_cannot_issue() -> None:
    authenticator = shared(secret=None, public_key=pem(private_key("ed25519")), algorithms=["EdDSA"])
    with pytest.raises(StartError, match="has a shared `secret`"):
        authenticator.issue({"sub": "ada"}, 60)


async def test_what_has_expired_is_withdrawn() -> None:
    clock = StillClock()
    authenticator = shared(clock)
    short, long = [await let_in(authenticator, signed(claims(exp=NOW + seconds))) for seconds in (10, 20)]
    assert await authenticator.withdrawn([short, long]) == []
    clock.advance(10)
    assert await authenticator.withdrawn([short, long]) == [short]


async def test_a_token_that_is_no_longer_remembered_has_to_be_shown_again() -> None:
    authenticator = shared(cache_tokens=2)
    tokens = [signed(claims(sub=name)) for name in ("ada", "bob", "eve")]
    ada, bob = [await let_in(authenticator, token) for token in tokens[:2]]
    assert await authenticator.withdrawn([ada]) == []
    await let_in(authenticator, tokens[2])
    assert await authenticator.withdrawn([ada, bob]) == [bob]
    assert await let_in(authenticator, tokens[1]) == bob
    assert await authenticator.withdrawn([bob]) == []


async def test_what_was_never_vouched_for_is_withdrawn() -> None:
    stranger = Identity("ada", expires_at=NOW + 600)
    assert await shared().withdrawn([stranger]) == [stranger]


async def test_a_users_row_is_read_on_every_request_and_never_out_of_a_cache(tmp_path: Path) -> None:
    authenticator = Jwt(secret=SECRET, issuer=ISSUER, audience=AUDIENCE, accounts=True, default_permissions=["*"])
    storage = storage_in(tmp_path)
    async with storage.life(Rungs()), authenticator.life(Rungs(storage=storage)):
        users, origin = Users(storage), Origin("default", "test")
        user = await users.add(origin, NewUser("eva", "eva@example.org", "a password", "developer"), {"*"})
        sessions = Sessions(storage, days=1, grace_seconds=1, by_account=Throttle(9, 9), by_address=Throttle(9, 9))
        session = (await sessions.login(origin, "eva", "a password")).session
        token = authenticator.issue({"sub": user.id, "sid": session}, 600)
        before = await let_in(authenticator, token)
        assert (before.role, before.permissions) == ("developer", ROLES["developer"])
        assert before.credential == f"session:{session}"
        assert await authenticator.withdrawn([before]) == []
        await users.set_role(origin, "eva", "viewer")
        assert await authenticator.withdrawn([before]) == [before]
        after = await let_in(authenticator, token)
        assert after.permissions == ROLES["viewer"]
        for claims_of_another in ({"sub": user.id}, {"sub": "somebody", "sid": session}, {"sub": user.id, "sid": "x"}):
            assert_refused(await verdict(authenticator, authenticator.issue(claims_of_another, 600)))
        await sessions.logout(origin, session)
        assert await authenticator.withdrawn([after]) == [after]
        assert_refused(await verdict(authenticator, token))


@pytest.mark.parametrize(
    "token",
    [signed(claims(exp=1)), signed(claims(), key=SECRET[::-1]), "a.b.c", signed(claims(), alg="none")],
    ids=["expired", "signature", "no-token", "none"],
)
def test_a_refusal_is_gone_when_it_was_told(token: str) -> None:
    """It would hold the token in its frames until garbage is collected, which then holds up everybody."""
    authenticator = shared()
    gc.disable()
    try:
        refusal = weakref.ref(authenticator._verdict(token))
        assert refusal() is None
    finally:
        gc.enable()


class HastyClock(StillClock):
    """A second is over whenever somebody looks."""

    def now(self) -> float:
        self.advance(1)
        return super().now()


def test_a_second_that_ends_during_the_check_is_no_mistake_of_the_configuration() -> None:
    assert list(SignIn(auth="a").check_beside({"a": shared(HastyClock(), accounts=True)}, {})) == []
