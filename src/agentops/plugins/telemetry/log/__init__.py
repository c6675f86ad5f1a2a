"""What happens, as lines on standard error: for people at a terminal, as JSON everywhere else."""

from __future__ import annotations

from agentops.plugins.telemetry.log.sink import Log, LogSettings

__all__ = ["Log", "LogSettings"]
