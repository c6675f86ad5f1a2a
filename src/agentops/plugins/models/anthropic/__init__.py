"""Anthropic's models, asked in Anthropic's words or in OpenAI's."""

from agentops.plugins.models.anthropic.plugin import Anthropic
from agentops.plugins.models.anthropic.settings import AnthropicSettings

__all__ = ["Anthropic", "AnthropicSettings"]
