"""The retry policies that come with agentops."""
