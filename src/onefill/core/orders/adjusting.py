"""What was traded by hand at the broker, booked to the positions that it changed. Source: ORD-9.

Nothing is edited: each correction is an execution of its own, with an intent of its own whose
source is the position, so that positions stay the sum of their fills (I10). Decided by a person or
a policy, against the book as it was compared.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from onefill.core.ids import client_order_id
from onefill.core.intent import IntentState, OrderIntent, OrderRequest, Side
from onefill.core.issue import ADJUST
from onefill.core.money import ZERO
from onefill.core.orders.hearing import Told
from onefill.core.orders.report import OrderReport, OrderStatus, Placed
from onefill.core.position import Leg, Position
from onefill.core.signal import NET_SLOT

_ON_ITS_WAY = (IntentState.SENDING, IntentState.IN_DOUBT, IntentState.QUARANTINED)


class AdjustmentRefusal(enum.Enum):
    """Why the book stays as it is, with the remedy, in order of precedence."""

    UNDER_WAY = "An order of it is on its way or in doubt: settle that first, then compare again."
    MOVED = "The book has moved since it was compared: compare again."
    NOT_OURS = (
        "More is held there than our positions ask for: it belongs to whoever bought it. Trade it "
        "flat by hand."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One symbol: net quantities of both books as they were compared, and what was paid by hand.

    orders: the broker's ids of the orders by hand that explain the difference, if any do.
    """

    symbol: str
    ours: Decimal
    theirs: Decimal
    price: Decimal
    orders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """All symbols of one account that are adjusted together: a synthetic's legs are."""

    broker: str
    account: str
    deployment: str
    holdings: tuple[Held, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One execution by hand: its intent, accepted already, and the word that it filled."""

    intent: OrderIntent
    told: Told


def adjust(
    wanted: Adjustment, positions: Sequence[Position], intents: Sequence[OrderIntent]
) -> tuple[Correction, ...] | AdjustmentRefusal:
    """The corrections that make our book hold what the broker holds; nothing half way.

    positions: all live ones that have a leg of these. intents: the live ones of their lanes.
    What is beyond them stays as it is: the later comparison tells of it again.
    """
    corrections: list[Correction] = []
    for held in wanted.holdings:
        found = _of_symbol(wanted, held, positions, intents)
        if isinstance(found, AdjustmentRefusal):
            return found
        corrections += found
    return tuple(corrections)


def _of_symbol(
    wanted: Adjustment,
    held: Held,
    positions: Sequence[Position],
    intents: Sequence[OrderIntent],
) -> list[Correction] | AdjustmentRefusal:
    if any(_is_on_its_way(intent, wanted, held.symbol) for intent in intents):
        return AdjustmentRefusal.UNDER_WAY
    places = [(position, leg) for position in positions for leg in _legs(position, wanted, held)]
    if sum((leg.net for _, leg in places), ZERO) != held.ours:
        return AdjustmentRefusal.MOVED
    shares = _shares(places, held)
    if not shares:
        return AdjustmentRefusal.NOT_OURS
    return [_correction(wanted, held, *share) for share in shares]


def _is_on_its_way(intent: OrderIntent, wanted: Adjustment, symbol: str) -> bool:
    order = intent.order
    is_its = (order.broker, order.account, order.symbol) == (wanted.broker, wanted.account, symbol)
    return is_its and intent.state in _ON_ITS_WAY


def _legs(position: Position, wanted: Adjustment, held: Held) -> Iterator[Leg]:
    here = (wanted.broker, wanted.account, held.symbol)
    return (leg for leg in position.legs if (leg.broker, leg.account, leg.symbol) == here)


_Place = tuple[Position, Leg]
_Share = tuple[Position, Leg, Decimal]


def _shares(places: Sequence[_Place], held: Held) -> list[_Share]:
    """Which position takes how much of the difference, signed.

    What was taken away leaves the newest position first. What was added can only be the direct
    policy's: its one position is whatever is held, while lots are sized by rules.
    """
    difference = held.theirs - held.ours
    if len(places) == 1 and places[0][0].slot == NET_SLOT and places[0][1].net != 0:
        return [(*places[0], difference)]
    if held.ours * difference >= 0:
        return []
    left = min(abs(difference), abs(held.ours))
    shares: list[_Share] = []
    for position, leg in sorted(places, key=lambda place: place[0].opened_at, reverse=True):
        share = min(abs(leg.net), left) if leg.net * held.ours > 0 else ZERO
        if share > 0:
            shares.append((position, leg, share if difference > 0 else -share))
            left -= share
    return shares


def _correction(
    wanted: Adjustment, held: Held, position: Position, leg: Leg, share: Decimal
) -> Correction:
    quantity, n = abs(share), position.version + 1
    name = client_order_id(wanted.deployment, position.id, leg.name, ADJUST, n)
    order = OrderRequest(
        broker=leg.broker,
        account=leg.account,
        symbol=leg.symbol,
        exchange=leg.exchange,
        side=Side.BUY if share > 0 else Side.SELL,
        quantity=quantity,
    )
    intent = OrderIntent(
        client_order_id=name,
        lane=position.lane,
        portfolio=position.portfolio,
        instrument=position.instrument,
        source=position.id,
        leg=leg.name,
        action=ADJUST,
        n=n,
        order=order,
        adds_exposure=False,
        position_id=position.id,
        state=IntentState.ACKED,
    )
    report = OrderReport(
        broker_order_id="",
        status=OrderStatus.FILLED,
        filled_quantity=quantity,
        filled_value=quantity * held.price,
        message=f"by hand: {wanted.note}",
    )
    return Correction(
        intent=intent, told=Told(client_order_id=name, attempt=0, word=Placed(report=report))
    )
