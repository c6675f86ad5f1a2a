"""What `agentops doctor` asks, each question a function of its own, and how it shows what was found."""
