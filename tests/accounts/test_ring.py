"""What a ring seals opens with any of its keys, only for what it was sealed for, and tells nothing of itself."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentops.accounts.ring import Ring, Sealed, UnopenableError, check_ring
from agentops.core.secret import Secret

OLD = Secret(base64.b64encode(bytes(range(32))).decode())
NEW = Secret(base64.b64encode(bytes(range(100, 132))).decode())
PLACE = ("provider_keys", "p", "alice", "openai")


@given(st.text(), st.lists(st.text()))
def test_what_is_sealed_opens(text: str, what_for: list[str]) -> None:
    ring = Ring([OLD])
    sealed = ring.seal(text, what_for)
    assert ring.open(sealed, what_for) == text
    assert ring.seal(text, what_for) != sealed


def test_the_first_key_seals_and_all_of_them_open() -> None:
    before, after = Ring([OLD]), Ring([NEW, OLD])
    old = before.seal("sk-1", PLACE)
    new = after.seal("sk-1", PLACE)
    assert (old.ring, new.ring) == (before.first, after.first) == tuple(reversed(after.names))
    assert after.open(old, PLACE) == after.open(new, PLACE) == "sk-1"
    with pytest.raises(UnopenableError, match="is not on the ring"):
        before.open(new, PLACE)
    with pytest.raises(UnopenableError, match="damaged, or was sealed for something else"):
        after.open(new._replace(ring=old.ring), PLACE)


OTHERS: dict[str, tuple[str, ...]] = {
    "project": ("provider_keys", "q", "alice", "openai"),
    "owner": ("provider_keys", "p", "bob", "openai"),
    "provider": ("provider_keys", "p", "alice", "anthropic"),
    "split otherwise": ("provider_keys", "p", 'alice","openai'),
    "joined": ("provider_keys", "pa", "lice", "openai"),
    "less": ("provider_keys", "p", "alice"),
}


@pytest.mark.parametrize("place", OTHERS.values(), ids=OTHERS)
def test_what_was_sealed_for_one_thing_opens_for_no_other(place: tuple[str, ...]) -> None:
    ring = Ring([OLD])
    with pytest.raises(UnopenableError):
        ring.open(ring.seal("sk-1", PLACE), place)


def test_what_was_changed_anywhere_opens_no_more() -> None:
    ring = Ring([OLD])
    sealed = ring.seal("sk-1", PLACE)
    raw = base64.b64decode(sealed.text)
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(UnopenableError):
            ring.open(Sealed(sealed.ring, base64.b64encode(changed).decode()), PLACE)
    for text in ("", "!", sealed.text[:-8], sealed.text + "AAAA", "é", base64.b64encode(raw[:10]).decode()):
        with pytest.raises(UnopenableError):
            ring.open(Sealed(sealed.ring, text), PLACE)


def test_a_key_is_the_same_however_it_is_written() -> None:
    raw = bytes([250, 255, *range(30)])
    usual = base64.b64encode(raw).decode()
    written = [usual, usual.rstrip("="), base64.urlsafe_b64encode(raw).decode(), raw.hex(), raw.hex().upper()]
    assert len(set(written)) == 5
    assert len({Ring([Secret(text)]).first for text in [*written, f"{usual}\n"]}) == 1
    assert list(check_ring([Secret(written[0])])) == []


WRONG = {
    "empty": ("", "no key of 32 bytes"),
    "short": (base64.b64encode(os.urandom(31)).decode(), "no key of 32 bytes"),
    "long": (base64.b64encode(os.urandom(33)).decode(), "no key of 32 bytes"),
    "short hex": (os.urandom(31).hex(), "no key of 32 bytes"),
    "no hex": ("x" * 64, "no key of 32 bytes"),
    "words": ("correct horse battery staple and more", "no key of 32 bytes"),
    "not ascii": ("é" * 43, "no key of 32 bytes"),
    "typed": (base64.b64encode(b"secretsecretsecretsecretsecretse").decode(), "not drawn at random"),
    "twice": (OLD.reveal(), "the same key as ring[0]"),
    "twice otherwise": (bytes(range(32)).hex(), "the same key as ring[0]"),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_key_is_told_without_it(text: str, told: str) -> None:
    (problem,) = check_ring([OLD, Secret(text)])
    assert problem.key == "ring[1]"
    assert told in problem.what
    assert not text or text not in str(problem)


def test_nothing_of_a_key_is_shown() -> None:
    ring = Ring([NEW, OLD])
    shown = f"{ring!r}{vars(ring)!r}{ring.names}{list(check_ring([NEW, NEW]))}"
    for key in (OLD, NEW):
        raw = base64.b64decode(key.reveal())
        assert [text for text in (key.reveal(), raw.hex(), repr(raw)[2:-1]) if text in shown] == []
