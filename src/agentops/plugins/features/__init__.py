"""The features that come with agentops."""
