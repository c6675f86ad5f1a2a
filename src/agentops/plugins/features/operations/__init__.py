"""How the server is, for those who run it: health, probes, metrics, and how fast each route is."""

from __future__ import annotations

from agentops.plugins.features.operations.routes import Operations, OperationsSettings

__all__ = ["Operations", "OperationsSettings"]
