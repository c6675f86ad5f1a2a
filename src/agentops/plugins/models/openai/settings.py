"""What can be said of a provider that speaks OpenAI's API."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from agentops.outgoing import ProviderSettings


class OpenAISettings(ProviderSettings):
    """`use = "openai"`."""

    base_url: str = "https://api.openai.com/v1"
    """Where the provider is; `/chat/completions` and its like are added to it."""
    speaks: tuple[Literal["chat", "embeddings", "responses"], ...] = ("chat", "embeddings", "responses")
    """The APIs that it has. Most that are not OpenAI have no `responses`."""
    key_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+(?!\n)$")] = "Authorization"
    """Where the key goes: as `Bearer` in `Authorization`, and as it is in any other, such as Azure's `api-key`."""
    asks_usage: bool = True
    """Whether to ask for the usage of a streamed chat; for a provider that does not know `stream_options`: false."""
