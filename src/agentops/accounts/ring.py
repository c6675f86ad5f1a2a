"""A ring of keys that seals what has to be read again: the first seals, and all of them open."""

from __future__ import annotations

import base64
import os
from hashlib import blake2b
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from agentops.core.errors import AgentopsError
from agentops.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentops.core.secret import Secret

KEY_BYTES: Final = 32
MAKES_ONE: Final = "make one by `openssl rand -base64 32`"

_NONCE_BYTES: Final = 12
_NAME_BYTES: Final = 4
_DIFFERENT_LEAST: Final = 16
"""So many different bytes are in any key that was drawn; in what somebody typed there are fewer."""
_FORM: Final = b"1"
"""Of what is sealed; the next one will be told from it by its first byte."""


_USUAL: Final = str.maketrans("-_", "+/")
"""Base64 for addresses has other letters for two of them."""


class Sealed(NamedTuple):
    """A text that only the ring can read, and only for what it was sealed for."""

    ring: str
    """The name of the key that sealed it."""
    text: str


class UnopenableError(AgentopsError):
    """What was sealed cannot be read: its key is not on the ring, or it is not what was sealed for this."""


class Ring:
    """AES-256 in Galois/Counter mode; what a text is sealed for is bound in, so that it opens for nothing else."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        """They were checked; a key that is none is a `ValueError`."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        raw = [_key_of(key) for key in keys]
        self._ciphers = {_name_of(key): AESGCM(key) for key in raw}
        self.first = _name_of(raw[0])
        """The name of the key that seals."""

    @property
    def names(self) -> Sequence[str]:
        return list(self._ciphers)

    def seal(self, text: str, what_for: Sequence[str]) -> Sealed:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self.first].encrypt(nonce, text.encode(), _bound(what_for))
        return Sealed(self.first, base64.b64encode(_FORM + nonce + sealed).decode())

    def open(self, sealed: Sealed, what_for: Sequence[str]) -> str:
        from cryptography.exceptions import InvalidTag

        cipher = self._ciphers.get(sealed.ring)
        if cipher is None:
            raise UnopenableError(f"the key {sealed.ring!r} that sealed it is not on the ring")
        try:
            raw = base64.b64decode(sealed.text, validate=True)
            nonce, rest = raw[1 : 1 + _NONCE_BYTES], raw[1 + _NONCE_BYTES :]
            if raw[:1] == _FORM:
                return cipher.decrypt(nonce, rest, _bound(what_for)).decode()
        except (InvalidTag, ValueError):
            pass
        raise UnopenableError("it is damaged, or was sealed for something else")


def check_ring(keys: Sequence[Secret], setting: str = "ring") -> Iterator[Problem]:
    """What is wrong with the keys of a ring; none of them is shown."""
    if keys and find_spec("cryptography") is None:
        yield Problem(
            setting, "cryptography is not installed", "nothing could be sealed", 'pip install "agentops-kit[auth]"'
        )
    names: dict[str, int] = {}
    for index, key in enumerate(keys):
        place = f"{setting}[{index}]"
        try:
            raw = _key_of(key)
        except ValueError:
            what = f"this is no key of {KEY_BYTES} bytes, in base64 or hex"
            yield Problem(place, what, "nothing could be sealed with it", MAKES_ONE)
            continue
        if len(set(raw)) < _DIFFERENT_LEAST:
            yield Problem(place, "this key was not drawn at random", "it could be guessed", MAKES_ONE)
        first = names.setdefault(_name_of(raw), index)
        if first != index:
            yield Problem(place, f"this is the same key as {setting}[{first}]", "", "name each once")


def _key_of(key: Secret) -> bytes:
    text = key.reveal().strip()
    if len(text) == KEY_BYTES * 2:
        return bytes.fromhex(text)
    digits = text.rstrip("=").translate(_USUAL)
    raw = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    if len(raw) != KEY_BYTES:
        raise ValueError("the key has another length")
    return raw


def _name_of(key: bytes) -> str:
    """It tells nothing of the key, and is the same on every instance."""
    return blake2b(key, digest_size=_NAME_BYTES, person=b"agentops ring").hexdigest()


def _bound(what_for: Sequence[str]) -> bytes:
    return msgspec.json.encode(what_for)
