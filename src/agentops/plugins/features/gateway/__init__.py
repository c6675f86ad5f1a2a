"""Calls of models: one address for all providers, with keys, budgets, credits, retries and a record."""

from agentops.plugins.features.gateway.plugin import Gateway
from agentops.plugins.features.gateway.settings import GatewaySettings

__all__ = ["Gateway", "GatewaySettings"]
