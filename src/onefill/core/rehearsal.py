"""What would have been decided: the real decisions and books, in memory. Source: SIG-20.

Nothing here is a second opinion: `decide`, `go_on` and `settle` are those of the running system.
Only what is outside is made up: each order fills at once, at the price of the signal, less what it
slips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from onefill.core.book import Account, Decision, Mark, Situation, TimeBasis
from onefill.core.decide import decide
from onefill.core.going_on import go_on
from onefill.core.ids import ClientOrderId, Lane, PositionId
from onefill.core.instrument import Rules
from onefill.core.intent import ACCOMPLISHED, IntentEvent, IntentState, OrderIntent, Side, step
from onefill.core.money import ZERO
from onefill.core.orders.report import OrderReport, OrderStatus, Placed
from onefill.core.orders.settlement import LaneBooks, Told, settle
from onefill.core.portfolio.statistics import Trade
from onefill.core.position import CALL, PUT, Position, PositionStatus
from onefill.core.signal import LoggedSignal, SignalStatus

_ROUNDS_MAX = 20
"""How often a lane is looked at for one signal: a rollover takes three."""
_OTHER_LEG = Decimal(1)
"""What an option is worth beyond its intrinsic value; in the other leg it counts as much."""

Slippage = Callable[[Decimal], Decimal]
"""Points lost on one fill at that price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What would have become of a signal. lots: of the position that it opened."""

    logged: LoggedSignal
    status: SignalStatus
    reason: str | None
    lots: int
    limiter: str | None


@dataclass(slots=True)
class _LaneMemory:
    price: Decimal = ZERO
    last_decided: datetime | None = None
    marks: tuple[Mark, ...] = ()
    blocked: str | None = None
    intents: dict[ClientOrderId, OrderIntent] = field(default_factory=dict)


class Rehearsal:
    """One portfolio from its first signal on; signals are given in the order of their times.

    rules without an outside: hard limits of accounts (ORD-15) and brokers' refusals are not here.
    """

    def __init__(self, rules: Rules, account: Account, slippage: Slippage = lambda _: ZERO) -> None:
        self._rules = rules
        high = max(account.high_water, account.closed_equity)
        self._account = replace(account, time_basis=TimeBasis.SIGNAL, high_water=high)
        self._slippage = slippage
        self._lanes: dict[Lane, _LaneMemory] = {}
        self._positions: dict[PositionId, Position] = {}
        self._outcomes: dict[int, tuple[SignalStatus, str | None]] = {}
        self.alarms: list[str] = []

    @property
    def account(self) -> Account:
        """The portfolio's money now."""
        return self._account

    @property
    def positions(self) -> tuple[Position, ...]:
        """All positions that there ever were, in the order of their decisions."""
        return tuple(self._positions.values())

    @property
    def trades(self) -> list[Trade]:
        """What was traded, as statistics count it."""
        return [_trade(position) for position in self.positions if _was_traded(position)]

    def take(self, logged: LoggedSignal) -> Rehearsed:
        """Decide one signal, with all that follows from it at its price."""
        lane = self._lanes.setdefault(logged.signal.lane, _LaneMemory())
        lane.price = logged.signal.price or lane.price
        before = frozenset(self._positions)
        decision = self._decided(logged, lane)
        self._went_on(logged, lane)
        self._forget(lane)
        opened = [p for name, p in self._positions.items() if name not in before]
        mine = [position for position in opened if position.entry_signal_id == logged.id]
        status, reason = self._outcomes[logged.id]
        return Rehearsed(
            logged=logged,
            status=status,
            reason=reason,
            lots=sum(position.lots for position in mine if position.rolled_from is None),
            limiter=decision.numbers.get("limiter"),
        )

    def as_it_ended(self, rehearsed: Rehearsed) -> Rehearsed:
        """The same with its status by now: an exit may have waited for the market to open."""
        status, reason = self._outcomes[rehearsed.logged.id]
        return replace(rehearsed, status=status, reason=reason)

    def _decided(self, logged: LoggedSignal, lane: _LaneMemory) -> Decision:
        """The decision, once nothing has to settle before it; one that waits still, if ever."""
        for _ in range(_ROUNDS_MAX):
            self._went_on(logged, lane)
            seen = self._seen(logged, lane)
            decision = decide(logged, seen, self._rules)
            if not decision.wait:
                break
            self._write(decision, logged, lane)
        after = seen.after(decision, logged.signal)
        lane.marks, lane.last_decided = after.marks, after.last_decided
        self._note(logged.id, decision.status, decision.reason)
        self._write(decision, logged, lane)
        return decision

    def _went_on(self, logged: LoggedSignal, lane: _LaneMemory) -> bool:
        """Whether something that was begun could be gone on with."""
        decision = go_on(self._seen(logged, lane), self._rules)
        if decision is not None:
            self._write(decision, logged, lane)
        return self._fill_all(logged, lane) or decision is not None

    def _seen(self, logged: LoggedSignal, lane: _LaneMemory) -> Situation:
        signal = logged.signal
        return Situation(
            now=signal.time,
            lane=signal.lane,
            account=self._account,
            positions=tuple(p for p in self._positions.values() if p.is_live),
            intents=tuple(intent for intent in lane.intents.values() if intent.is_live),
            blocked=lane.blocked,
            last_decided=lane.last_decided,
            marks=lane.marks,
            heard_at=signal.time,
        )

    def _write(self, decision: Decision, logged: LoggedSignal, lane: _LaneMemory) -> None:
        for name in decision.withdraw:
            withdrawn, _ = step(lane.intents[name].state, IntentEvent.WITHDRAWN)
            lane.intents[name] = replace(lane.intents[name], state=withdrawn)
        self._keep(decision.positions)
        lane.intents |= {intent.client_order_id: intent for intent in decision.intents}
        for change in decision.signals:
            self._note(change.signal_id, change.status, change.reason)
        self.alarms += decision.alarms
        self._fill_all(logged, lane)

    def _keep(self, positions: Iterable[Position]) -> None:
        """Write them, and what they earned: as the store does, once for all that is written."""
        gained = ZERO
        for position in positions:
            before = self._positions.get(position.id)
            gained += position.realised - (before.realised if before else ZERO)
            self._positions[position.id] = position
        account = replace(self._account, realised=self._account.realised + gained)
        high = max(account.high_water, account.closed_equity)
        self._account = replace(account, high_water=high)

    def _fill_all(self, logged: LoggedSignal, lane: _LaneMemory) -> bool:
        """Fill what may be sent, until nothing more may; whether anything did."""
        filled = False
        while (intent := next(_claimable(lane), None)) is not None:
            sending, _ = step(intent.state, IntentEvent.CLAIMED)
            lane.intents[intent.client_order_id] = replace(
                intent, state=sending, attempt=intent.attempt + 1
            )
            self._fill(lane.intents[intent.client_order_id], logged, lane)
            filled = True
        return filled

    def _fill(self, intent: OrderIntent, logged: LoggedSignal, lane: _LaneMemory) -> None:
        quantity = intent.order.quantity
        report = OrderReport(
            broker_order_id=f"rehearsed-{intent.client_order_id}",
            status=OrderStatus.FILLED,
            filled_quantity=quantity,
            filled_value=quantity * self._price(intent, lane.price),
        )
        word = Told(
            client_order_id=intent.client_order_id,
            attempt=intent.attempt,
            word=Placed(report=report),
        )
        mine = (p for p in self._positions.values() if p.lane == intent.lane)
        books = LaneBooks(
            now=logged.signal.time,
            intents=tuple(lane.intents.values()),
            positions=tuple(p for p in mine if p.is_live or p.id == intent.position_id),
        )
        settlement = settle(books, (word,))
        lane.intents |= {each.client_order_id: each for each in settlement.intents}
        self._keep(settlement.positions)
        for signal_id, status, reason in settlement.signals:
            self._note(signal_id, status, reason)
        lane.blocked = lane.blocked or settlement.block
        self.alarms += settlement.alarms

    def _price(self, intent: OrderIntent, price: Decimal) -> Decimal:
        """What the order fills at; of a synthetic's two legs the call bears what slips."""
        slips = self._slippage(price)
        worse = price + slips if intent.order.side is Side.BUY else price - slips
        position = self._positions.get(intent.position_id) if intent.position_id else None
        if position is None or position.strike is None:
            return worse
        put = max(ZERO, position.strike - price) + _OTHER_LEG + slips
        match intent.leg:
            case leg if leg == PUT:
                return put
            case leg if leg == CALL:
                return put + worse - position.strike
        return worse

    def _note(self, signal_id: int, status: SignalStatus, reason: str | None) -> None:
        self._outcomes[signal_id] = (status, reason)

    def _forget(self, lane: _LaneMemory) -> None:
        """Let go of orders that can matter no more: there are thousands in a year."""
        live = {position.id for position in self._positions.values() if position.is_live}
        lane.intents = {
            name: intent
            for name, intent in lane.intents.items()
            if intent.is_live or intent.position_id in live
        }


def _claimable(lane: _LaneMemory) -> Iterator[OrderIntent]:
    for intent in lane.intents.values():
        before = lane.intents.get(intent.after) if intent.after is not None else None
        if intent.state is IntentState.NEW and (before is None or before.state in ACCOMPLISHED):
            yield intent


def _was_traded(position: Position) -> bool:
    return any(leg.opened > 0 for leg in position.legs)


def _trade(position: Position) -> Trade:
    is_closed = position.status is PositionStatus.CLOSED
    risk = None
    if position.entry_price is not None and position.initial_stop is not None:
        points = position.entry_price - position.initial_stop
        risk = points * position.lots * position.point_value
    return Trade(
        instrument=position.instrument,
        opened_at=position.opened_at,
        closed_at=position.closed_at if is_closed else None,
        profit=position.realised if is_closed else ZERO,
        risk=risk,
        costs=position.costs if is_closed else ZERO,
    )
