"""Webhooks: people and programs are told what happens, signed, in order, and at least once."""

from __future__ import annotations

from agentops.plugins.features.webhooks.routes import Webhooks
from agentops.plugins.features.webhooks.settings import WebhooksSettings

__all__ = ["Webhooks", "WebhooksSettings"]
