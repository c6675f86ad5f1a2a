"""The authenticators that come with agentops."""
