"""Secrets are taken out of sentences; words that are only spelt like one stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentops.core.masking import masked_in_ours, masked_in_strangers

if TYPE_CHECKING:
    from collections.abc import Callable

MASKING = [masked_in_ours, masked_in_strangers]


@pytest.mark.parametrize("mask", MASKING)
@pytest.mark.parametrize("secret", ["correcthorsebattery", "open-the-door-now", "hunter2", "a1b2c3"])
@pytest.mark.parametrize("text", ["{}", "say {} to it", "'{}'", "http://x:{}@y/z", "x{}y {}"])
def test_what_is_no_word_by_chance_is_masked_wherever_it_is(mask: Callable[..., str], secret: str, text: str) -> None:
    assert mask(text.format(secret, secret), [secret]) == text.format("********", "********")


@pytest.mark.parametrize("mask", MASKING)
@pytest.mark.parametrize("text", ["shorter than its keys", "secretary", "akey"])
def test_a_short_one_is_not_masked_inside_a_word(mask: Callable[..., str], text: str) -> None:
    assert mask(text, ["secret", "key", "short", "a"]) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the secret of '/api' at lanes.api is no api", "the secret of '/api' at lanes.api is no api"),
        ("'api' is not a number", "'********' is not a number"),
        ("did you mean 'secret'?", "did you mean '********'?"),
        ('write secret = { env = "…" } for `secret`', 'write secret = { env = "…" } for `secret`'),
        ("8080 is not text; write 18080", "******** is not text; write 18080"),
    ],
)
def test_our_own_sentences_show_a_word_in_quotes_or_not_at_all(text: str, expected: str) -> None:
    assert masked_in_ours(text, ["api", "secret", "8080"]) == expected


@pytest.mark.parametrize("text", ["{} is too short", "not {}, please", "badge={}", "<{}>", "the badge '{}'", "is {}."])
def test_in_a_strangers_sentence_any_word_may_be_one(text: str) -> None:
    assert masked_in_strangers(text.format("api"), ["api"]) == text.format("********")


@pytest.mark.parametrize("mask", MASKING)
def test_one_that_is_shown_by_its_repr_is_masked_too(mask: Callable[..., str]) -> None:
    secret = "o'clock\\"
    assert mask(f"{secret!r} is not a number", [secret]) == '"********" is not a number'


@pytest.mark.parametrize("mask", MASKING)
def test_the_longer_of_two_is_masked_whole(mask: Callable[..., str]) -> None:
    assert mask("'hunter2hunter2'", ["hunter2", "hunter2hunter2", ""]) == "'********'"
