"""The telemetry sinks that come with agentops."""
