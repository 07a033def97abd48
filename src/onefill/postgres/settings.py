"""Switches that all instances share, as rows of the table `settings`."""

from __future__ import annotations

TRADING_PAUSED = "trading_paused"
"""`true` while an operator has paused trading: entries stop, exits and stops go on (SIG-18)."""

EXITS_PAUSED = "exits_paused"
"""`true` while exits and stops rest as well; never without TRADING_PAUSED (CTL-9)."""


def is_on(key: str) -> str:
    """SQL: whether that switch is on; false where nobody ever moved it."""
    return f"coalesce((SELECT value = 'true' FROM settings WHERE key = '{key}'), false)"
