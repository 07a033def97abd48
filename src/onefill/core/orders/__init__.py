"""One action, from its intent to its fills: issued, sent once, heard of, settled, compared."""
