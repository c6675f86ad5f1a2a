"""What is kept of content: nothing that looks personal or secret, where that was asked for."""

from __future__ import annotations

import time

import msgspec
import pytest

from agentops.core.identity import Identity
from agentops.plugins.features.gateway.recording import redacted, run_of

SECRETS = {
    "email": ("write to Bob.Smith+x@mail.example.co.uk now", "write to [email] now"),
    "email-behind-a-line-break": ("\nbob@example.com", "\n[email]"),
    "key": ("use sk-proj-abcdefghijklmnopqrstuv", "use [secret]"),
    "our-key": (f"uc_{'0' * 64}", "[secret]"),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[secret]"),
    "bearer": ("Authorization: Bearer abc.def-ghi", "Authorization: [secret]"),
    "card": ("card 4111 1111 1111 1111, thanks", "card [number], thanks"),
    "phone": ("call +43 660 1234567", "call [number]"),
    "iban": ("to AT61 1904 3002 3457 3201", "to [iban]"),
    "image": ("data:image/png;base64,iVBORw0KGgo=", "[data]"),
    "harmless": ("Version 1.2.3 of 42 things costs 1999 euros", "Version 1.2.3 of 42 things costs 1999 euros"),
}


@pytest.mark.parametrize("name", SECRETS)
def test_what_looks_personal_or_secret_is_left_out(name: str) -> None:
    text, shown = SECRETS[name]
    assert msgspec.json.decode(redacted(msgspec.json.encode(text))) == shown


@pytest.mark.parametrize("letters", ["a", "a.", "eyJ-", "1-", "1 ", "a@", "sk-", "bearer "])
def test_long_words_are_read_once(letters: str) -> None:
    """While they are, nothing else is served."""
    text = msgspec.json.encode(letters * (40_000 // len(letters)) + "!")
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 1


def test_what_is_left_is_the_same_json() -> None:
    value = {"messages": [{"role": "user", "content": ["a\\b", '"', "ü\u2028"], "n": 12345678901}], "x": None}
    assert msgspec.json.decode(redacted(msgspec.json.encode(value))) == value


def test_a_name_in_an_object_may_be_secret_too() -> None:
    assert redacted(b'{"bob@example.com":1}') == b'{"[email]":1}'


@pytest.mark.parametrize(
    ("identity", "run"),
    [
        (Identity("alice", credential="key:1f0c"), "llm-key-1f0c-2026-01-31"),
        (Identity("ä/b c"), "llm--b-c-2026-01-31"),
    ],
)
def test_the_run_of_a_key_for_a_day(identity: Identity, run: str) -> None:
    assert run_of(identity, 1_769_860_800_000) == run
