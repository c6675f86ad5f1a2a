"""What a call used: Anthropic counts what came from the cache, and what went into it, beside the rest of the input."""

from __future__ import annotations

from typing import Any

import msgspec

from agentops.core.ports.model import Usage


class _Details(msgspec.Struct):
    thinking_tokens: int | None = None


class Counted(msgspec.Struct):
    """A count as the provider writes it; in a stream the later ones hold what has changed, or all."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _Details | None = None

    def then(self, later: Counted) -> Counted:
        both = {name: _or(getattr(later, name), getattr(self, name)) for name in self.__struct_fields__}
        return Counted(**both)

    def usage(self) -> Usage:
        cached, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        return Usage((self.input_tokens or 0) + cached + written, self.output_tokens or 0, cached, written)

    def in_chat(self) -> dict[str, Any]:
        """As OpenAI's chat completions write it."""
        usage = self.usage()
        found: dict[str, Any] = {
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
        }
        if self.output_tokens_details is not None and self.output_tokens_details.thinking_tokens is not None:
            found["completion_tokens_details"] = {"reasoning_tokens": self.output_tokens_details.thinking_tokens}
        return found


def _or(later: Any, former: Any) -> Any:
    return former if later is None else later
