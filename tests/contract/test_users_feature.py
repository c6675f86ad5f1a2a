"""Users keep the contract of features, and say before a start what would keep people from signing in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from agentops import Kit, Lane
from agentops.core.config.settings import EventSettings
from agentops.core.permissions import ROLES
from agentops.core.problem import ConfigurationError
from agentops.core.secret import Secret
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.features.users import FirstAdmin, Users
from agentops.plugins.features.users.messages import Credentials, RoleName
from agentops.testing._running import storage_in
from agentops.testing.feature import LANES, FeatureContract, NoRights

if TYPE_CHECKING:
    from pathlib import Path

    from agentops.core.ports.auth import Authenticator
    from agentops.testing.feature import AnyFeature

SECRET = "a shared secret of more than 32 bytes"


def own_tokens() -> Jwt:
    return Jwt(secret=SECRET, accounts=True)


def kit_of(feature: AnyFeature, folder: Path, **auth: Authenticator[Any]) -> Kit:
    lanes = [Lane(path, auth=["contract"], serve=[feature]) for path in LANES]
    keep_all = EventSettings(retention=0)  # else a start looks for events to prune, and is stopped in it
    return Kit(storage=storage_in(folder), auth={"contract": NoRights(), **auth}, lanes=lanes, events=keep_all)


def problems_of(feature: Users, folder: Path, **auth: Authenticator[Any]) -> str:
    with pytest.raises(ConfigurationError) as told:
        kit_of(feature, folder, **auth)
    return str(told.value)


class TestUsers(FeatureContract):
    @pytest.fixture
    def feature(self) -> Users:
        return Users()

    @pytest.fixture
    def kit(self, feature: AnyFeature, tmp_path: Path) -> Kit:
        return kit_of(feature, tmp_path, own=own_tokens())


def test_without_anybody_to_issue_tokens_it_says_so(tmp_path: Path) -> None:
    assert "features.Users.auth: no authenticator of this deployment can do this" in problems_of(Users(), tmp_path)


def test_of_several_one_is_to_be_named(tmp_path: Path) -> None:
    two = {"own": own_tokens(), "others": own_tokens()}
    assert "say which: 'own' or 'others'" in problems_of(Users(), tmp_path, **two)
    assert kit_of(Users(auth="own"), tmp_path, **two).deployment.features


def test_a_name_that_is_nobodys_is_told_with_the_nearest(tmp_path: Path) -> None:
    told = problems_of(Users(auth="onw"), tmp_path, own=own_tokens())
    assert "no authenticator is called 'onw'" in told
    assert "did you mean 'own'?" in told
    assert "'contract' cannot do this" in problems_of(Users(auth="contract"), tmp_path, own=own_tokens())


def test_one_that_checks_tokens_but_cannot_issue_any_is_found_out_before_the_start(tmp_path: Path) -> None:
    others = Jwt(jwks_url="https://sso.example/keys", algorithms=["RS256"])
    told = problems_of(Users(), tmp_path, sso=others)
    assert "features.Users.auth: no token can be issued" in told


def test_what_is_wrong_with_the_issuer_is_told_once_and_by_itself(tmp_path: Path) -> None:
    told = problems_of(Users(), tmp_path, own=Jwt(secret="short"))
    assert "auth.own.secret" in told
    assert "features.Users" not in told


@pytest.mark.parametrize("password", ["seven77", "a" * 1025, "nul\0 in it"])
def test_a_first_password_that_could_not_be_one_is_told_and_not_shown(tmp_path: Path, password: str) -> None:
    first = FirstAdmin(username="root", email="root@example.com", password=Secret(password))
    told = problems_of(Users(first_admin=first), tmp_path, own=own_tokens())
    assert "features.Users.first_admin.password: this cannot be a password" in told
    assert password not in told


@pytest.mark.parametrize(
    "wrong", [{"username": " root"}, {"username": "ro\u202eot"}, {"email": "ro\0ot@example.com"}], ids=ascii
)
@pytest.mark.parametrize("password", [None, Secret("correct horse")], ids=["later", "given"])
def test_a_first_admin_who_could_not_be_made_is_told_before_the_start(
    tmp_path: Path, wrong: dict[str, str], password: Secret | None
) -> None:
    first = FirstAdmin(**{"username": "root", "email": "root@example.com", **wrong}, password=password)
    told = problems_of(Users(first_admin=first), tmp_path, own=own_tokens())
    (field,) = wrong
    assert told.startswith(f"features.Users.first_admin.{field}: this cannot be ")
    assert told.count("\n") == 0


def test_a_first_admin_without_a_password_is_wanted_later(tmp_path: Path) -> None:
    first = FirstAdmin(username="root", email="root@example.com")
    assert kit_of(Users(first_admin=first), tmp_path, own=own_tokens()).deployment.features


@pytest.mark.parametrize(
    "wrong", [{"username": ""}, {"email": "root"}, {"email": "a b@example.com"}, {"email": "root@example.com\n"}]
)
def test_a_first_admin_has_a_name_and_an_address(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=f"first_admin.{next(iter(wrong))}"):
        Users(first_admin={"username": "root", "email": "root@example.com", **wrong})


def test_the_roles_of_a_body_are_the_roles_there_are() -> None:
    assert get_args(RoleName) == tuple(ROLES)


def test_what_holds_a_password_does_not_show_it() -> None:
    assert repr(Credentials("ada", "correct horse")) == "<Credentials>"


def test_tokens_that_outlive_their_session_are_refused(tmp_path: Path) -> None:
    told = problems_of(Users(), tmp_path, own=Jwt(secret=SECRET))
    assert "features.Users.auth: the authenticator believes a token until it ends" in told
    assert "accounts = true" in told
