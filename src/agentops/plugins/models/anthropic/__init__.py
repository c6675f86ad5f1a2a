"""Anthropic's models, asked in Anthropic's words or in OpenAI's."""
