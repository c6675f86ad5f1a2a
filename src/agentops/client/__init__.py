"""What a client of a server needs; nothing of the server is imported here."""
