"""What stands behind `agentops tail`."""
