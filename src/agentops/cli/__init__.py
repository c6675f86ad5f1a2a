"""The command line. Its own imports are light: what a command needs is imported when the command runs."""

from __future__ import annotations

from agentops.cli.root import main

__all__ = ["main"]
