"""What stands behind `agentops copy`: which databases are meant, and what is said at the end."""
