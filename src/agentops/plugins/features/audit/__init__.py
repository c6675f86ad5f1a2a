"""The audit trail over HTTP, to be read by those who may."""

from __future__ import annotations

from agentops.plugins.features.audit.routes import Audit

__all__ = ["Audit"]
