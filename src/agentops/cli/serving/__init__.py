"""What stands behind `agentops serve`."""
