"""Telemetry for a collector that speaks OpenTelemetry: traces and figures, as protobuf over HTTP."""

from __future__ import annotations

from agentops.plugins.telemetry.otlp.settings import OtlpSettings
from agentops.plugins.telemetry.otlp.sink import Otlp

__all__ = ["Otlp", "OtlpSettings"]
