"""The hosts of an address are those that libpq would ask."""

from __future__ import annotations

import pytest

from agentops import Secret
from agentops.plugins.storage.postgres import Postgres
from agentops.sql.postgres_hosts import Host, named_in
from agentops.sql.postgres_server import Server


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://me:secret@one:1,two:2/x", [Host("one", 1), Host("two", 2)]),
        ("postgresql://one,two/x", [Host("one", 5432), Host("two", 5432)]),
        ("postgresql://me@[::1]:7,[fe80::1]/x", [Host("::1", 7), Host("fe80::1", 5432)]),
        ("postgresql:///x?host=/run/one,/run/two", [Host("/run/one", 5432), Host("/run/two", 5432)]),
        ("postgresql:///x?host=one,two&port=1,2", [Host("one", 1), Host("two", 2)]),
        ("postgresql:///x?host=one,two&port=9", [Host("one", 9), Host("two", 9)]),
        ("postgresql:///x", []),
    ],
)
def test_hosts_are_read(url: str, hosts: list[Host]) -> None:
    named = named_in(url)
    assert (list(named.hosts), named.database) == (hosts, "x")


@pytest.mark.parametrize("url", ["postgresql://one:port/x", "postgresql:///x?host=a,b,c&port=1,2"])
def test_what_cannot_be_read_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        named_in(url)


def test_the_place_names_all_hosts_and_no_secret() -> None:
    place = Server(Secret("postgresql://me:secret@one:1,two:2/x?target_session_attrs=read-write"), 1, 1).place
    assert place == "one:1 or two:2, database 'x'"


def test_several_hosts_without_saying_which_is_wanted_are_a_problem() -> None:
    def problems(url: str, **more: Secret) -> list[str]:
        return [problem.key for problem in Postgres(url=Secret(url), **more).check()]

    assert problems("postgresql://one,two/x") == ["url"]
    assert problems("postgresql://one,two/x?target_session_attrs=read-write") == []
    assert problems("postgresql://one/x", replica_url=Secret("postgresql://two,three/x")) == []
    assert problems("postgresql://one/x", replica_url=Secret("mysql://two/x")) == ["replica_url"]
