"""How rights are compared: the same as if every right were spelt out as the set of all that it allows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops.core.permissions import BASE, ROLES, beyond, common, covers, is_permission, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

REGISTRY = frozenset({"a:read", "a:write", "b:read"})

DEEDS = frozenset((resource, action) for resource in ("a", "b", "later") for action in ("read", "write", "later"))
"""All that can be done, here and with features to come: a wildcard is more than the sum of what it covers today."""

RIGHTS = ["*", "a:*", "b:*", "a:read", "a:write", "b:read", "b:write"]
NO_RIGHTS = [
    "",
    "a",
    "a:",
    ":read",
    "*:read",
    "*:*",
    "a:re*",
    "a:**",
    "A:read",
    "a:read ",
    "a:read\n",
    "a:b:c",
    "**",
    "a*",
    "runs",
    "runs:",
    "Runs:read",
    "runs:re*",
    "a:b\n",
    "1:b",
]

rights = st.sampled_from(RIGHTS)
some_rights = st.frozensets(rights)
registries = st.frozensets(st.sampled_from(sorted(REGISTRY)))


def allowed(held: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Everything that these rights allow, one by one."""
    return frozenset(
        (resource, action)
        for resource, action in DEEDS
        for right in held
        if right in {"*", f"{resource}:*", f"{resource}:{action}"}
    )


@given(some_rights, rights)
def test_a_right_is_covered_when_all_that_it_allows_is_allowed(held: frozenset[str], asked: str) -> None:
    assert covers(held, asked) == (allowed({asked}) <= allowed(held))


@given(some_rights, some_rights)
def test_what_is_common_allows_what_both_allow(some: frozenset[str], others: frozenset[str]) -> None:
    both = common(some, others)
    assert allowed(both) == allowed(some) & allowed(others)
    assert both == common(others, some)
    assert both <= some | others
    assert common(both, some) == common(both, both) == both


@given(some_rights, some_rights)
def test_nothing_that_is_common_is_beyond_either(some: frozenset[str], others: frozenset[str]) -> None:
    assert beyond(common(some, others), some) == beyond(common(some, others), others) == []


@given(st.lists(rights), some_rights)
def test_what_is_beyond_allows_something_that_is_not_held(asked: list[str], held: frozenset[str]) -> None:
    too_much = beyond(asked, held)
    assert too_much == sorted({right for right in asked if not allowed({right}) <= allowed(held)})
    assert (too_much == []) == (allowed(asked) <= allowed(held))


@given(st.lists(rights | st.sampled_from(NO_RIGHTS) | st.text(max_size=8)), registries)
def test_what_is_unknown_names_nothing_in_the_registry(asked: list[str], registry: frozenset[str]) -> None:
    known = {"*", *registry, *(f"{permission.partition(':')[0]}:*" for permission in registry)}
    assert unknown(asked, registry) == sorted(set(asked) - known)


@given(some_rights)
def test_nobody_with_no_rights_may_do_anything(asked: frozenset[str]) -> None:
    assert beyond(asked, frozenset()) == sorted(asked)
    assert common(asked, frozenset()) == frozenset()
    assert common(asked, {"*"}) == asked
    assert beyond(asked, {"*"}) == []


@pytest.mark.parametrize(
    ("held", "asked", "may"),
    [
        ({"a:*"}, "a:read", True),
        ({"a:read"}, "a:*", False),
        ({"a:read", "a:write"}, "a:*", False),
        ({"a:*", "b:*", "later:*"}, "*", False),
        ({"*"}, "*", True),
        ({"a:*"}, "ab:read", False),
        ({"ab:*"}, "a:read", False),
    ],
)
def test_a_wildcard_is_more_than_what_it_covers(held: set[str], asked: str, may: bool) -> None:
    assert covers(held, asked) is may
    assert beyond([asked], held) == ([] if may else [asked])


@pytest.mark.parametrize("text", [*RIGHTS, "runs:read", "runs:*", "a-b:c_d", "a1:b2"])
def test_a_right_is_written_as_one(text: str) -> None:
    assert is_permission(text)


@pytest.mark.parametrize("text", NO_RIGHTS)
def test_what_is_written_otherwise_is_no_right(text: str) -> None:
    assert not is_permission(text)
    assert unknown([text], REGISTRY) == [text]


@given(st.text("aA1:*_-. \n", max_size=6))
def test_a_right_is_a_resource_and_an_action(text: str) -> None:
    resource, colon, action = text.partition(":")
    word = r"[a-z][a-z0-9_-]*"
    spelt = bool(colon) and re.fullmatch(word, resource) and (action == "*" or re.fullmatch(word, action))
    assert is_permission(text) == (text == "*" or bool(spelt))


def test_the_rights_of_roles_are_rights() -> None:
    assert [right for held in ROLES.values() for right in held if not is_permission(right)] == []
    assert [right for right in BASE if not is_permission(right) or right.endswith("*")] == []


@pytest.mark.parametrize(
    ("narrower", "wider"),
    [("viewer", "user"), ("user", "agent_operator"), ("agent_operator", "developer"), ("developer", "admin")],
)
def test_each_role_may_more_than_the_one_below(narrower: str, wider: str) -> None:
    assert beyond(ROLES[narrower], ROLES[wider]) == []
    assert beyond(ROLES[wider], ROLES[narrower]) != []
