"""OpenAlgo's dialect, as its clients know it."""
