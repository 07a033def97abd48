"""Signals as a log takes them, numbered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from onefill.ports.signal_log import NewSignal
from trading_support import buy, new_signal

_NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def committed(number: int) -> NewSignal:
    """The signal of this number, the same each time."""
    return new_signal(buy("SIM001", _NOON + timedelta(seconds=number), f"c{number}"))
