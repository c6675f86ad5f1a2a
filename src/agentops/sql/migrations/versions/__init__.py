"""The steps of the schema, oldest first; each stands as it was released."""
