"""The part that knows no plugin: contracts, configuration, lanes, errors, identity and the event log."""
