"""Bundled servers: a PostgreSQL of our own, for who brings none."""
