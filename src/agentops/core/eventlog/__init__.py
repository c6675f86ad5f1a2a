"""The way of an event: one writer with group commit, rings of recent frames, and streams that are cursors."""

from agentops.core.eventlog.log import EventLog
from agentops.core.eventlog.stream import Stream

__all__ = ["EventLog", "Stream"]
