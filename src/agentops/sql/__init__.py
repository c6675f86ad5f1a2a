"""What storages that speak SQL share: tables, queries, the plan of an append, migrations. A library, no plugin."""
