"""Who leads, who lives, and who did, where Redis is the authority."""
