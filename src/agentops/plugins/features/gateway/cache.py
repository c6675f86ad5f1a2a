"""Answers to requests at temperature 0, for whoever of the same project asks exactly the same."""

from __future__ import annotations

import time
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentops.plugins.features.gateway.asked import Question
    from agentops.plugins.features.gateway.settings import CacheSettings

_OVERHEAD: Final = 500
"""Bytes that an entry takes beside its answer."""


class Cached(NamedTuple):
    """An answer, whose it was, and until when it is given."""

    provider: str
    target: str
    body: bytes
    until: float


class Cache:
    """In this process, of a bounded size; what was asked for the longest time ago goes first."""

    def __init__(self, settings: CacheSettings) -> None:
        self._most = settings.most_bytes
        self._seconds = settings.seconds
        self._answers: OrderedDict[bytes, Cached] = OrderedDict()
        self._size = 0

    @staticmethod
    def key_of(project: str, question: Question, headers: Mapping[str, str]) -> bytes | None:
        """Nothing for what is not to be cached: a temperature that is not said is not 0."""
        if question.streamed or question.asked.temperature != 0:
            return None
        digest = blake2b(f"{len(project)}:{project}{question.api}\0{question.asked.model}".encode(), digest_size=32)
        for name, raw in sorted(question.fields.items()):
            digest.update(f"\0{len(name)}:{name}\0{len(memoryview(raw))}:".encode())
            digest.update(raw)
        for name, value in sorted(headers.items()):
            digest.update(f"\0{name}:{value}".encode())
        return digest.digest()

    def find(self, key: bytes) -> Cached | None:
        found = self._answers.get(key)
        if found is None:
            return None
        if found.until < time.monotonic():
            self._drop(key)
            return None
        self._answers.move_to_end(key)
        return found

    def keep(self, key: bytes, provider: str, target: str, body: bytes) -> None:
        if len(body) + _OVERHEAD > self._most // 10:
            return
        self._drop(key)
        self._answers[key] = Cached(provider, target, body, time.monotonic() + self._seconds)
        self._size += len(body) + _OVERHEAD
        while self._size > self._most:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: bytes) -> None:
        dropped = self._answers.pop(key, None)
        if dropped is not None:
            self._size -= len(dropped.body) + _OVERHEAD
