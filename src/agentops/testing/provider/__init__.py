"""A fake provider of models, for tests and benchmarks: a real server that speaks OpenAI's and Anthropic's protocols."""

from __future__ import annotations

from agentops.testing.provider.faults import Fault
from agentops.testing.provider.server import FIELD, FakeProvider, Request

__all__ = ["FIELD", "FakeProvider", "Fault", "Request"]
