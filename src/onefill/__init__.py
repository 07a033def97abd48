"""onefill: every signal fills once."""

__version__ = "0.1.0"
