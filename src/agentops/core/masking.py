"""Takes secrets out of sentences, and leaves the sentences whole.

A short secret may be an ordinary word, `keys` or `secret`. To mask it wherever its letters stand would make the
sentence unreadable, and point out what the secret is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentops.core.secret import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_NO_CHANCE: Final = re.compile(r".{16,}|(?=.*\d)(?=.*[^\W\d_]).{6,}", re.DOTALL)
"""Long, or letters and digits in one: such a secret is in no sentence by chance, and is masked wherever it is."""

_QUOTED: Final = r"(?<='){}(?=')"
_ALONE: Final = r"(?<![^\s'\"(\[=]){}(?=[,;:.!?]*(?:[\s'\")\]]|\Z))"
_WORD: Final = r"(?<![^\W_]){}(?![^\W_])"


def masked_in_ours(text: str, secrets: Collection[str]) -> str:
    """Mask them in a sentence of this program, which shows no word without quotes that it was given as a value."""
    return _masked(text, secrets, lambda secret: _QUOTED if secret.isalpha() else _ALONE)


def masked_in_strangers(text: str, secrets: Collection[str]) -> str:
    """Mask them in a sentence of a plugin that we do not know, of which any word may be one."""
    return _masked(text, secrets, lambda _: _WORD)


def _masked(text: str, secrets: Collection[str], place_of: Callable[[str], str]) -> str:
    """The longest first, for it may hold another; each also as `repr` writes it."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        place = "{}" if _NO_CHANCE.fullmatch(secret) else place_of(secret)
        for spelt in (repr(secret)[1:-1], secret):
            text = re.sub(place.replace("{}", re.escape(spelt)), MASK, text)
    return text
