"""The buses that come with agentops."""
