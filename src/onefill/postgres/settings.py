"""Switches that all instances share, as rows of the table `settings`."""

from __future__ import annotations

TRADING_PAUSED = "trading_paused"
"""`true` while an operator has paused trading: entries stop, exits and stops go on (SIG-18)."""
