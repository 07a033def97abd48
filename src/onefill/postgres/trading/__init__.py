"""The trade path: decide, claim, settle, each a transaction for a group."""
