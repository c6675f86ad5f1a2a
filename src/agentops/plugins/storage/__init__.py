"""Storages: `sqlite` for one machine, `postgres` for any number of instances."""
