"""Bundled servers: a PostgreSQL and a Valkey of our own, for who brings none."""
