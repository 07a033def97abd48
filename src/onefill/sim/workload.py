"""Signals by seed: direct ones and the portfolio engine's, repeated, reordered, sent again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onefill.sim.chance import Chance
from onefill.sim.clock import START
from onefill.sim.loop import Timeline
from onefill.sim.machine import Machine

WORK_S = 4.0
TRIES_MAX = 6
ANSWER_WITHIN_S = 2.5
AGAIN_AFTER_S = 0.4
NETWORK_S = 0.002

_SYMBOLS = ("BTCUSDT", "ETHUSDT")
_CONTRACTS = ("2", "4")


@dataclass(frozen=True, slots=True)
class Alert:
    """A signal to come: when, and its body. copies: when it is sent besides."""

    at_s: float
    body: bytes
    copies: tuple[float, ...] = ()


def alerts(chance: Chance) -> list[Alert]:
    """What a charting platform sends in this world."""
    return [_alert(chance, number) for number in range(chance.randint(3, 9))]


def _alert(chance: Chance, number: int) -> Alert:
    at_s = chance.random() * WORK_S
    made_at = START + timedelta(seconds=at_s)
    body = _direct(chance) if chance.random() < 0.6 else _portfolio(chance)
    late_s = chance.random() ** 4 * 3.0 if chance.random() < 0.3 else 0.0
    shared = {"timestamp": _written(made_at), "order_id": f"o{number}"}
    copies = tuple(
        at_s + chance.choice((0.0, 0.001, 0.3, 2.0)) * chance.random()
        for _ in range(chance.choice((0, 0, 0, 1, 2)))
    )
    return Alert(at_s + late_s, json.dumps({**body, **shared}).encode(), copies)


def _written(moment: datetime) -> str:
    return moment.isoformat()


def _direct(chance: Chance) -> dict[str, object]:
    """Sizes are few, so that orders look alike; all lanes trade the same way or close."""
    ticker, contracts = chance.choice(_SYMBOLS), chance.choice(_CONTRACTS)
    draw = chance.random()
    if draw < 0.2:
        return {"action": "close", "ticker": ticker, "contracts": contracts}
    if draw < 0.35:
        side = {"market_position": "long", "position_size": contracts}
        return {"ticker": ticker, "action": "buy", **side}
    return {"action": "buy" if draw < 0.8 else "sell", "ticker": ticker, "contracts": contracts}


def _portfolio(chance: Chance) -> dict[str, object]:
    instrument, price = chance.choice((("GOLD_MINI", 72_000), ("BANK_NIFTY", 52_000)))
    kind = chance.choice(("BASE_ENTRY", "BASE_ENTRY", "PYRAMID", "EXIT"))
    slot = {"BASE_ENTRY": "Long_1", "PYRAMID": "Long_2", "EXIT": "ALL"}[kind]
    body: dict[str, object] = {
        "type": kind,
        "instrument": instrument,
        "position": slot,
        "price": str(price),
        "stop": str(price * 99 // 100),
        "atr": str(price // 250),
        "er": "0.8",
        "lots": 1,
        "supertrend": str(price * 99 // 100),
    }
    return body | ({"reason": "trend over"} if kind == "EXIT" else {})


class Sender:
    """Sends alerts to whoever answers, and again while nobody does, as a platform would."""

    def __init__(self, timeline: Timeline, chance: Chance, machines: Sequence[Machine]) -> None:
        self.acknowledged: set[bytes] = set()
        self._timeline = timeline
        self._chance = chance
        self._machines = machines
        self._open = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is under way any more."""
        return self._open == 0

    def schedule(self, alert: Alert) -> None:
        """Send it, and its copies, at their times."""
        for at_s in (alert.at_s, *alert.copies):
            self._open += 1
            self._timeline.at(at_s, self._send, alert.body, 1)

    def _send(self, body: bytes, tries: int) -> None:
        machine = self._chance.choice(self._machines)
        heard = _Heard()

        def answer(acknowledged: bool) -> None:
            self._timeline.after(self._delay_s(), self._hear, heard, acknowledged, body, tries)

        self._timeline.after(self._delay_s(), machine.post, body, answer)
        self._timeline.after(ANSWER_WITHIN_S, self._hear, heard, False, body, tries)

    def _hear(self, heard: _Heard, acknowledged: bool, body: bytes, tries: int) -> None:
        if heard.something:
            return
        heard.something = True
        if acknowledged:
            self.acknowledged.add(body)
        if acknowledged or tries >= TRIES_MAX:
            self._open -= 1
            return
        self._timeline.after(AGAIN_AFTER_S, self._send, body, tries + 1)

    def _delay_s(self) -> float:
        return NETWORK_S * self._chance.random()


@dataclass(slots=True)
class _Heard:
    something: bool = False


Answer = Callable[[bool], None]
