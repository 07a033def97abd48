"""Bytes → a valid signal, or all that is wrong with them."""
