"""Exposition: for a telemetry sink whose figures are fetched by whoever wants them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Exposes(Protocol):
    """The feature `operations` serves it at `/metrics`."""

    def exposition(self) -> tuple[bytes, str]:
        """Everything there is now, and its media type."""
        ...
