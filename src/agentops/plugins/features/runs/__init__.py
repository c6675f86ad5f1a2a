"""Runs and their events: recorded, listed, replayed and streamed."""

from __future__ import annotations

from agentops.plugins.features.runs.routes import Runs

__all__ = ["Runs"]
