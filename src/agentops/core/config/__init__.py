"""From a file, the environment and the command line to a checked deployment."""
