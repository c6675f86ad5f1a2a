"""The providers of models that come with agentops."""
