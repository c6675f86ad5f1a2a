"""What stands behind `agentops export` and `agentops import`."""
