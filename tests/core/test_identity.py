"""Who is calling, and what that caller may do."""

from __future__ import annotations

import pytest

from agentops import Caller, Identity, Rejected
from agentops.core.identity import ANONYMOUS


@pytest.mark.parametrize("text", ["", "runs", "*:read", "runs:re*", "Runs:read"])
def test_what_is_no_permission_cannot_be_held(text: str) -> None:
    with pytest.raises(ValueError, match="not a permission"):
        Identity("x", permissions=frozenset({text}))


@pytest.mark.parametrize(
    ("held", "asked", "may"),
    [
        ("runs:read", "runs:read", True),
        ("runs:read", "runs:write", False),
        ("runs:*", "runs:write", True),
        ("runs:*", "runsheet:read", False),
        ("*", "anything:at-all", True),
    ],
)
def test_what_an_identity_may(held: str, asked: str, may: bool) -> None:
    assert Identity("x", permissions=frozenset({held})).may(asked) is may


def test_nothing_is_allowed_that_was_not_given() -> None:
    assert not Identity("x").may("runs:read")
    assert ANONYMOUS.may("runs:read")


def test_a_header_is_found_in_any_case_and_only_once() -> None:
    caller = Caller([(b"x-badge", b" mine "), (b"twice", b"a"), (b"twice", b"a")], "127.0.0.1")
    assert caller.header("X-Badge") == "mine"
    assert caller.header("none") is None
    with pytest.raises(Rejected):
        caller.header("twice")
