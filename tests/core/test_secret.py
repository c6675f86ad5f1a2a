"""A secret does not show, however it is asked."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import TYPE_CHECKING

import pytest

from agentops import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN = "correct horse"


@pytest.mark.parametrize(
    "shown",
    [repr, str, "{}".format, "{!r:>40}".format, lambda secret: f"{[secret]}"],
    ids=["repr", "str", "format", "padded", "in a list"],
)
def test_it_prints_as_asterisks(shown: Callable[[object], str]) -> None:
    text = shown(Secret(HIDDEN))
    assert "********" in text
    assert HIDDEN not in text


def test_it_is_not_written_down_in_clear() -> None:
    secret = Secret(HIDDEN)
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled") as raised:
            write(secret)
        assert HIDDEN not in "".join(traceback.format_exception(raised.value))
    assert not hasattr(secret, "__dict__")


def test_it_can_be_used() -> None:
    secret = Secret(HIDDEN)
    assert secret.reveal() == HIDDEN
    assert secret.matches(HIDDEN)
    assert not secret.matches("wrong")
    assert not secret.matches("körrekt hörse")


def test_it_equals_what_holds_the_same() -> None:
    assert Secret(HIDDEN) == Secret(HIDDEN)
    assert Secret(HIDDEN) != Secret("other")
    assert Secret(HIDDEN) != HIDDEN
    assert len({Secret(HIDDEN), Secret(HIDDEN), Secret("other")}) == 2
