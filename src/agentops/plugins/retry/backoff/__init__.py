"""Tries again what may succeed then, at growing intervals, and leaves a target alone that is down."""

from agentops.plugins.retry.backoff.plugin import Backoff, BackoffSettings

__all__ = ["Backoff", "BackoffSettings"]
