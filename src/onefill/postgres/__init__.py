"""PostgreSQL as authority and memory: leases, signals, decisions, intents, positions."""
