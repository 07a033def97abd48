"""Who leads, who lives, and who did: the lease and what belongs to it."""
