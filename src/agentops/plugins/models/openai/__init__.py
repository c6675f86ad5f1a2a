"""Whatever speaks OpenAI's API: OpenAI itself, OpenRouter, vLLM, Ollama and many more."""

from __future__ import annotations

from agentops.plugins.models.openai.plugin import OpenAI
from agentops.plugins.models.openai.settings import OpenAISettings

__all__ = ["OpenAI", "OpenAISettings"]
