"""The one error of this package."""

from __future__ import annotations


class Failed(Exception):
    """A figure could not be measured, or what was measured is not what was meant."""
