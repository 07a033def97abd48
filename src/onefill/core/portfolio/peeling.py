"""Selling lots of a position that has outgrown its ongoing limits. Source: PF-7."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from onefill.core.admission import opening_after
from onefill.core.book import Situation
from onefill.core.instrument import Instrument, Rules
from onefill.core.intent import OrderIntent, Side
from onefill.core.issue import PEEL, Cause, is_waiting_stop, issue_in_turn
from onefill.core.portfolio.equity import exposure, sizing_equity
from onefill.core.portfolio.guarding import give_way
from onefill.core.portfolio.stops import lots_to_peel
from onefill.core.position import Position, PositionStatus

PEELED = "peeled"
"""The reason of a position that was peeled down to nothing."""


def peel_off(
    position: Position, situation: Situation, rules: Rules, instrument: Instrument
) -> tuple[Position, tuple[OrderIntent, ...]]:
    """The position with the orders that bring it back within its limits; none while it is
    building, leaving or within them, while the market is closed, or unless the setting is on.

    The short leg first, as in every exit. Its lots go down when the fills are settled. Stops at
    the broker give way before anything is sold.
    """
    if not rules.peel_off or not _is_settled(position, situation):
        return position, ()
    equity = sizing_equity(situation.account, situation.positions, rules.equity_base)
    lots = lots_to_peel(position.lots, exposure(position), equity, instrument)
    if lots == 0 or opening_after(position.instrument, situation, rules) is not None:
        return position, ()
    quantity = Decimal(lots * position.units_per_lot)
    wanted = [(leg, leg.side.opposite, quantity) for leg in position.legs]
    cause = Cause(
        deployment=rules.deployment, source=position.id, action=PEEL, n=position.repairs + 1
    )
    shorts_first = sorted(wanted, key=lambda one: one[1] is Side.SELL)
    smaller = replace(position, repairs=position.repairs + 1)
    if lots == position.lots:
        smaller = replace(smaller, reason=PEELED)
    smaller, changes = give_way(smaller, quantity, situation, instrument)
    first, *others = issue_in_turn(cause, position, shorts_first)
    if changes:
        first = replace(first, after=changes[-1].client_order_id)
    return smaller, (*changes, first, *others)


def _is_settled(position: Position, situation: Situation) -> bool:
    mine = (i for i in situation.intents if i.position_id == position.id)
    is_working = any(not is_waiting_stop(intent) for intent in mine)
    return position.status is PositionStatus.OPEN and not is_working
