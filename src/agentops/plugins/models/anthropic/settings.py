"""What can be said of Anthropic, or of what speaks as it does."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from agentops.outgoing import ProviderSettings


class AnthropicSettings(ProviderSettings):
    """`use = "anthropic"`."""

    base_url: str = "https://api.anthropic.com"
    """Where the provider is; `/v1/messages` is added to it."""
    max_tokens: Annotated[int, Meta(ge=1)] = 8_192
    """How long the answer to a chat may be that names no bound, and whose model none: Anthropic wants one."""
    cache: bool = False
    """Mark the rules, the tools and what the user said last of every chat that has no marker of its own, so that the
    provider keeps what it read. What is kept costs more to write, and a tenth to read again."""
