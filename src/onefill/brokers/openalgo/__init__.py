"""OpenAlgo: one API to many Indian brokers."""
