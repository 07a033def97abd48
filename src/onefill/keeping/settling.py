"""What a group of settlements amounts to, gathered in memory before anything is written. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from onefill.core.ids import ClientOrderId, Lane
from onefill.core.intent import OrderIntent
from onefill.core.orders.hearing import Fill, Told
from onefill.core.orders.report import Placed, Trade
from onefill.core.orders.settlement import LaneBooks, Settlement
from onefill.core.position import Position
from onefill.keeping.planning import PositionChange, SignalNews
from onefill.ports.trading import Settle

_log = logging.getLogger(__name__)

Booking = tuple[Fill, OrderIntent]
Execution = tuple[OrderIntent, Trade]


@dataclass(slots=True)
class Outcome:
    """All that one group is going to write."""

    intents: dict[ClientOrderId, OrderIntent] = field(default_factory=dict)
    positions: list[PositionChange] = field(default_factory=list)
    fills: list[Booking] = field(default_factory=list)
    trades: list[Execution] = field(default_factory=list)
    news: list[SignalNews] = field(default_factory=list)
    blocks: dict[Lane, str] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)


@dataclass(slots=True)
class LaneDesk:
    """One lane's books, as they were read, and the words about its orders."""

    now: datetime
    intents: list[OrderIntent] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)


def note_strangers(outcome: Outcome, desks: dict[Lane, LaneDesk], names: Iterable[str]) -> None:
    """Alarm about words of orders that no book holds."""
    known = {word.client_order_id for desk in desks.values() for word in desk.told}
    outcome.alarms += [
        f"a broker spoke of order {name}, which is not in our books"
        for name in names
        if name not in known
    ]


def settle_lane(outcome: Outcome, lane: Lane, desk: LaneDesk, settle: Settle) -> None:
    """Add what the rules make of one lane; where they break, it is blocked."""
    books = LaneBooks(now=desk.now, intents=tuple(desk.intents), positions=tuple(desk.positions))
    try:
        settlement = settle(books, desk.told)
    except Exception as error:
        _log.exception("a lane can't be settled", extra={"lane": lane})
        outcome.blocks[lane] = "settlement_failed"
        outcome.alarms.append(f"{lane}: what the broker said can't be booked: {error}")
        return
    _take(outcome, lane, desk, settlement)


def _take(outcome: Outcome, lane: Lane, desk: LaneDesk, settlement: Settlement) -> None:
    before = {position.id: position for position in desk.positions}
    after = {intent.client_order_id: intent for intent in desk.intents}
    after.update((intent.client_order_id, intent) for intent in settlement.intents)
    outcome.intents.update((intent.client_order_id, intent) for intent in settlement.intents)
    outcome.positions += [PositionChange(before.get(p.id), p) for p in settlement.positions]
    outcome.fills += [(fill, after[fill.client_order_id]) for fill in settlement.fills]
    outcome.trades += _executions(settlement.fills, desk.told, after)
    outcome.news += [SignalNews(*signal) for signal in settlement.signals]
    outcome.alarms += settlement.alarms
    if settlement.block is not None:
        outcome.blocks[lane] = settlement.block


def _executions(
    fills: Sequence[Fill], told: Sequence[Told], intents: dict[ClientOrderId, OrderIntent]
) -> Iterable[Execution]:
    """The trades that the new fills name: those of a poll that brought nothing are in already."""
    new = {(fill.client_order_id, name) for fill in fills for name in fill.trade_ids}
    for word in told:
        if isinstance(word.word, Placed):
            for trade in word.word.report.trades:
                if (word.client_order_id, trade.trade_id) in new:
                    yield intents[word.client_order_id], trade
