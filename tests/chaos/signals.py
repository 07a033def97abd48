"""Bodies of the portfolio engine's signals, of this moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from chaos.world import SECRET


def bank_nifty(
    kind: str, slot: str | None, order_id: str, price: int = 60_000, *, stop: int | None = None
) -> bytes:
    """A signal for Bank Nifty; its ATR is 250 points, and its stop one R of 350 below."""
    body: dict[str, object] = {
        "secret": SECRET,
        "type": kind,
        "instrument": "BANK_NIFTY",
        "price": str(Decimal(price)),
        "stop": str(price - 350 if stop is None else stop),
        "atr": "250",
        "er": "0.8",
        "lots": 1,
        "supertrend": str(price - 350),
        "timestamp": datetime.now(UTC).isoformat(),
        "order_id": order_id,
    }
    if slot is not None:
        body["position"] = slot
    if kind == "EXIT":
        body["reason"] = "trend over"
    return json.dumps(body).encode()


def gold_mini(
    kind: str, slot: str | None, order_id: str, price: int = 78_000, *, atr: int = 200
) -> bytes:
    """A signal for Gold Mini; its stop is 500 points below its price."""
    body: dict[str, object] = {
        "secret": SECRET,
        "type": kind,
        "instrument": "GOLD_MINI",
        "price": str(Decimal(price)),
        "stop": str(price - 500),
        "atr": str(atr),
        "er": "0.8",
        "lots": 1,
        "supertrend": str(price - 500),
        "timestamp": datetime.now(UTC).isoformat(),
        "order_id": order_id,
    }
    if slot is not None:
        body["position"] = slot
    if kind == "EXIT":
        body["reason"] = "trend over"
    return json.dumps(body).encode()
