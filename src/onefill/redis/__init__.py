"""Redis or Valkey: a carrier and a mirror beside PostgreSQL, or the authority without it."""
