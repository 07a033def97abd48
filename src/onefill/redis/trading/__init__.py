"""The trade path where Redis is the authority: look, decide, commit."""
