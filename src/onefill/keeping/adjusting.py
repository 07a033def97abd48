"""What the audit log says of a correction by hand."""

from __future__ import annotations

from onefill.core.money import plain
from onefill.core.orders.adjusting import Adjustment, AdjustmentRefusal


def facts_of(wanted: Adjustment, result: object) -> dict[str, object]:
    """What was wanted, and why not if it was refused."""
    return {
        "broker": wanted.broker,
        "account": wanted.account,
        "holdings": [
            {
                "symbol": held.symbol,
                "ours": plain(held.ours),
                "theirs": plain(held.theirs),
                "price": plain(held.price),
                "orders": list(held.orders),
            }
            for held in wanted.holdings
        ],
        "note": wanted.note,
        "refused": result.name if isinstance(result, AdjustmentRefusal) else None,
    }
