"""The store of the trade path. Each method is one stage, for a whole group, in one transaction.

Grouping by stage (not by signal) lets a hundred lanes share each commit. The policy comes in as
pure functions; the store reads, asks them, and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from onefill.core.book import Decision, Situation
from onefill.core.ids import ClientOrderId, Epoch, Lane
from onefill.core.intent import Chase, OrderIntent, OrderType
from onefill.core.orders.rates import RateWindow
from onefill.core.orders.settlement import LaneBooks, Settlement, Told
from onefill.core.signal import LoggedSignal, Signal, SignalStatus

Read = Callable[[str], Signal]
"""Reads a logged payload back into a Signal."""
Decide = Callable[[LoggedSignal, Situation], Decision]
ContinueExits = Callable[[Situation], Decision | None]
Settle = Callable[[LaneBooks, Sequence[Told]], Settlement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What one group of decisions came to.

    intents: new ones; those with `after` wait for that one. ended: signals that need no order.
    waiting: lanes whose next signal must wait for an order. again: lanes that have more to decide
    at once. alarms: what a person shall be told of.
    """

    intents: tuple[OrderIntent, ...] = ()
    ended: tuple[tuple[int, SignalStatus, str | None], ...] = ()
    waiting: tuple[Lane, ...] = ()
    again: tuple[Lane, ...] = ()
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One attempt about to be made: NEW becomes SENDING, if it is still NEW at attempt - 1.

    Times are the venue's (signed_at, expires_at) and the database's clock's (send_by is counted
    from the claim: send_within_ms). hash: SHA-256 of the bytes to be sent. resend: the attempt
    before is in doubt and the broker is of class A, so the same id may be sent again; it never
    expires, because its first attempt may still arrive. order_rates: what the broker takes from
    the account (`broker/account`) in a time (ORD-11).
    """

    client_order_id: ClientOrderId
    attempt: int
    signed_at: datetime
    expires_at: datetime | None
    send_within_ms: int
    request_hash: bytes
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    price: Decimal | None = None
    chase: Chase | None = None
    witnessed: tuple[str, ...] = ()
    resend: bool = False
    account: str = ""
    order_rates: tuple[RateWindow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What one group of settlements came to: changed intents, ended signals, touched lanes."""

    intents: tuple[OrderIntent, ...] = ()
    signals: tuple[tuple[int, SignalStatus, str | None], ...] = ()
    lanes: tuple[Lane, ...] = ()
    alarms: tuple[str, ...] = ()


class TradingStore(Protocol):
    """Lanes, intents, positions. All raise StoreUnavailable, or CommitUnknown when a commit's
    outcome is not known. Methods with an epoch are fenced, and raise Fenced when it is over;
    without one (None, active-active) the lane's lock and the intent's row alone decide."""

    async def lanes_with_work(self, limit: int) -> Sequence[Lane]:
        """Lanes with undecided signals, or with a closing position whose next exit is due."""
        ...

    async def decide(
        self, epoch: Epoch | None, lanes: Sequence[Lane], decide: Decide, exits: ContinueExits
    ) -> Decided:
        """Lock those of the lanes that are idle; decide the next signals of each, in order of
        signal time, then arrival, until one must wait; write all of it (ORD-2)."""
        ...

    async def claimable(self, limit: int, *, aged_ms: int = 0) -> Sequence[OrderIntent]:
        """NEW intents whose predecessor, if any, is FILLED; oldest first.

        aged_ms: only those made that long ago: younger ones are in their maker's hands.
        """
        ...

    async def claim(
        self, epoch: Epoch | None, claims: Sequence[Claim]
    ) -> Mapping[ClientOrderId, str]:
        """ORD-3. For each claim: `claimed`, or why not (`taken`, `expired`, `limited`, `paused`,
        `waiting`, `throttled`, `shut`).

        Only what is `claimed` may be sent, once. `expired` and `limited` ones are EXPIRED in
        the same commit; the lanes of `limited` ones are blocked (ORD-15). A `shut` one stays
        NEW, as its market is closed: its lane decides what becomes of it (SIG-18).
        """
        ...

    async def claimed_by_me(self, claims: Sequence[Claim]) -> set[ClientOrderId]:
        """After CommitUnknown: which of these attempts are this process's own."""
        ...

    async def settle(self, told: Sequence[Told], settle: Settle) -> Settled:
        """Write what brokers said, unfenced: evidence is never lost (ORD-4)."""
        ...

    async def unresolved(self, limit: int) -> Sequence[OrderIntent]:
        """IN_DOUBT; and SENDING past its send_by, or made by an earlier boot of this instance."""
        ...

    async def working(self, limit: int, *, mine: bool = False) -> Sequence[OrderIntent]:
        """ACKED and PARTIALLY_FILLED: orders whose fills are still to come.

        mine: only those that this instance sent.
        """
        ...

    async def chased(self, limit: int) -> Sequence[OrderIntent]:
        """ACKED and PARTIALLY_FILLED orders that follow their price (PF-22)."""
        ...

    async def nameless(self, limit: int) -> Sequence[OrderIntent]:
        """Sent, or perhaps sent, without a broker order id yet: SENDING, IN_DOUBT, QUARANTINED.

        Any of them may be the owner of an order that is found by its looks.
        """
        ...

    async def named(self, names: Sequence[ClientOrderId]) -> Sequence[OrderIntent]:
        """The intents of these ids that place orders; ids that are not ours are left out."""
        ...

    async def known_orders(self, broker: str, ids: Sequence[str]) -> Mapping[str, ClientOrderId]:
        """Which of these broker order ids belong to which of our intents."""
        ...

    async def now(self) -> datetime:
        """The database's clock."""
        ...
