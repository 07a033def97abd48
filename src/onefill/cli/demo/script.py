"""Which signals arrive in a demonstration, and in which order: a plain list, over and over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import count

PAUSES_S = (1.0, 1.6, 1.2, 2.0, 1.4)
_REPEAT_EACH = 7
_STOP = Decimal("0.006")
_ATR = Decimal("0.004")


@dataclass(frozen=True, slots=True)
class Cue:
    """One signal to come. action: of the direct policy; else kind and slot of the engine's."""

    instrument: str
    kind: str = ""
    slot: str = ""
    action: str = ""
    contracts: str = ""


CUES = (
    Cue("BANK_NIFTY", "BASE_ENTRY", "Long_1"),
    Cue("SIM001", action="buy", contracts="5"),
    Cue("GOLD_MINI", "BASE_ENTRY", "Long_1"),
    Cue("BTCUSDT", action="buy", contracts="0.010"),
    Cue("BANK_NIFTY", "PYRAMID", "Long_2"),
    Cue("SIM002", action="sell", contracts="3"),
    Cue("GOLD_MINI", "MARKET_DATA"),
    Cue("BTCUSDT", action="buy", contracts="0.005"),
    Cue("SIM001", action="sell", contracts="2"),
    Cue("GOLD_MINI", "PYRAMID", "Long_2"),
    Cue("BANK_NIFTY", "MARKET_DATA"),
    Cue("SIM002", action="close", contracts="3"),
    Cue("BANK_NIFTY", "PYRAMID", "Long_2"),
    Cue("SIM001", action="close", contracts="3"),
    Cue("GOLD_MINI", "PYRAMID", "Long_2"),
    Cue("BANK_NIFTY", "PYRAMID", "Long_3"),
    Cue("BTCUSDT", action="close", contracts="0.015"),
    Cue("GOLD_MINI", "EXIT", "ALL"),
    Cue("BANK_NIFTY", "EXIT", "ALL"),
)


def cues() -> Iterator[tuple[int, Cue, bool]]:
    """Numbered cues without end. True: post it twice, as TradingView does after a time-out."""
    for number in count(1):
        yield number, CUES[(number - 1) % len(CUES)], number % _REPEAT_EACH == 0


def signal_of(
    number: int, cue: Cue, prices: Mapping[str, Decimal], now: datetime
) -> dict[str, object]:
    """The body of a cue at these prices."""
    price = prices[cue.instrument]
    order_id = f"demo-{now:%Y%m%d%H%M%S}-{number}"
    shared: dict[str, object] = {"timestamp": now.isoformat(), "order_id": order_id}
    if cue.action:
        sized = {"ticker": cue.instrument, "contracts": Decimal(cue.contracts)}
        return {"action": cue.action, **sized, **shared}
    stop = (price * (1 - _STOP)).quantize(Decimal("0.01"))
    body = {
        "type": cue.kind,
        "instrument": cue.instrument,
        "price": price,
        "atr": (price * _ATR).quantize(Decimal("0.01")),
        "supertrend": stop,
        **shared,
    }
    if cue.kind == "MARKET_DATA":
        return body
    body |= {"position": cue.slot, "stop": stop, "lots": 1, "er": Decimal("0.8")}
    return body | ({"reason": "trend over"} if cue.kind == "EXIT" else {})
