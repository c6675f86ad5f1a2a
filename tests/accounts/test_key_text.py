"""The text of a key: made so that a wrong one is known by looking at it."""

from __future__ import annotations

import re
from typing import Annotated
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from agentops.accounts.key_text import PREFIX, SHOWN, make_key, parse_key

PREFIXES = ["uc_", "jean_sk_", "a_", "deadbeef_"]
DIGITS = "0123456789abcdef"


def with_checksum(body: str) -> str:
    return f"{body}{crc32(body.encode('utf-8', 'surrogatepass')):08x}"


BODY = "0123456789abcdef" * 3 + "76543210"
KEY = with_checksum(f"uc_{BODY}")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_key_is_its_prefix_and_64_hex_of_which_eight_are_a_checksum(prefix: str) -> None:
    key = make_key(prefix)
    assert re.fullmatch(rf"{prefix}[0-9a-f]{{64}}", key)
    assert key == with_checksum(key[:-8])


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_key_that_was_made_is_taken_apart(prefix: str) -> None:
    key = make_key(prefix)
    parsed = parse_key(key, prefix)
    assert parsed is not None
    assert prefix + parsed.lookup + parsed.secret + key[-8:] == key
    assert (len(parsed.lookup), len(parsed.secret)) == (16, 40)


def test_no_two_keys_are_alike() -> None:
    keys = [make_key("uc_") for _ in range(1000)]
    assert len({key[3:19] for key in keys}) == len({key[19:59] for key in keys}) == 1000


def test_what_is_shown_of_a_key_is_no_part_of_its_secret() -> None:
    assert len("a_") + 16 >= SHOWN


@pytest.mark.parametrize("position", range(3, len(KEY)))
def test_a_wrong_digit_is_known_by_the_checksum(position: int) -> None:
    wrong = [f"{KEY[:position]}{digit}{KEY[position + 1 :]}" for digit in DIGITS if digit != KEY[position]]
    assert [key for key in wrong if parse_key(key, "uc_") is not None] == []


NO_KEYS = {
    "empty": "",
    "prefix-alone": "uc_",
    "digits-alone": KEY[3:],
    "digits-and-their-checksum": with_checksum(BODY),
    "one-digit-short": with_checksum(f"uc_{BODY[1:]}"),
    "one-digit-long": with_checksum(f"uc_0{BODY}"),
    "another-prefix": with_checksum(f"ud_{BODY}"),
    "prefix-in-capitals": with_checksum(f"UC_{BODY}"),
    "prefix-twice": with_checksum(f"uc_uc_{BODY}"),
    "prefix-in-the-digits": with_checksum(f"uc_uc_{BODY[3:]}"),
    "digits-in-capitals": with_checksum(f"uc_{BODY.upper()}"),
    "checksum-in-capitals": KEY[:-8] + KEY[-8:].upper(),
    "checksum-of-the-digits-alone": f"uc_{with_checksum(BODY)}",
    "no-hex": with_checksum(f"uc_{BODY[:-1]}g"),
    "space-before": f" {KEY}",
    "space-behind": f"{KEY} ",
    "space-for-a-digit": with_checksum(f"uc_ {BODY[1:]}"),
    "line-break-behind": f"{KEY}\n",
    "line-break-for-a-digit": f"{KEY[:-1]}\n",
    "nul": with_checksum(f"uc_\0{BODY[1:]}"),
    "surrogate": with_checksum(f"uc_\udc80{BODY[1:]}"),
    "wide-digits": with_checksum(f"uc_{BODY[:-1]}\N{FULLWIDTH DIGIT SEVEN}"),
    "arabic-digits": with_checksum(f"uc_{BODY[:-1]}\N{ARABIC-INDIC DIGIT SEVEN}"),
    "wide-prefix": with_checksum(f"\N{FULLWIDTH LATIN SMALL LETTER U}c_{BODY}"),
    "underscore": with_checksum(f"uc_{BODY[:-2]}_7"),
    "10-kb": KEY + "0" * 10_240,
}


def test_the_key_that_the_others_are_spoilt_from_is_one() -> None:
    assert parse_key(KEY, "uc_") is not None
    assert KEY[-8:] != KEY[-8:].upper()


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_no_key(text: str) -> None:
    assert parse_key(text, "uc_") is None


@given(st.text(max_size=80) | (st.text(max_size=80) | st.text(DIGITS, min_size=64, max_size=64)).map("uc_{}".format))
def test_nothing_that_is_made_up_is_a_key(text: str) -> None:
    assert parse_key(text, "uc_") is None


def test_a_key_taken_apart_does_not_show_its_secret() -> None:
    parsed = parse_key(KEY, "uc_")
    assert parsed is not None
    for shown in (repr(parsed), str(parsed), f"{parsed}", repr([parsed])):
        assert parsed.secret not in shown
        assert parsed.lookup in shown


@pytest.mark.parametrize("prefix", [*PREFIXES, "A-b_c_", "a" * 31 + "_"])
def test_a_prefix(prefix: str) -> None:
    assert msgspec.convert(prefix, Annotated[str, Meta(pattern=PREFIX)]) == prefix


@pytest.mark.parametrize("prefix", ["", "_", "uc", "1c_", "uc_\n", "u c_", "uc_ ", "\u00fcc_", "a" * 32 + "_", "uc_:"])
def test_no_prefix(prefix: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(prefix, Annotated[str, Meta(pattern=PREFIX)])
