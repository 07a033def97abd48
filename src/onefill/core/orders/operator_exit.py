"""An operator's wish to close a position, as the exit signal that does it."""

from __future__ import annotations

from datetime import datetime

from onefill.core.intake.strict_json import dump_object
from onefill.core.money import ZERO
from onefill.core.position import Position
from onefill.core.signal import NET_SLOT, SignalKind


def exit_payload(position: Position, moment: datetime, note: str) -> str:
    """The body of the signal that closes the position, as a sender would write it.

    It goes the way of all signals: durable, in the order of its lane, decided once. Its price is
    the last one known, so that it moves no stop. moment: when it was said, by the lane's own time.
    """
    common: dict[str, object] = {
        "portfolio": position.portfolio,
        "timestamp": moment.isoformat(),
        "order_id": f"close-{position.id}",
        "reason": f"operator: {note}" if note else "operator",
    }
    if position.slot == NET_SLOT:
        return dump_object({"action": "close", "ticker": position.instrument, **common})
    price = position.last_price or position.entry_price or position.signal_price
    return dump_object(
        {
            "type": SignalKind.EXIT.value,
            "instrument": position.instrument,
            "position": position.slot,
            "price": price,
            "stop": ZERO,
            "lots": ZERO,
            "atr": position.atr or ZERO,
            "er": ZERO,
            "supertrend": ZERO,
            **common,
        }
    )
