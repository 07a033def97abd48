"""What the product needs of a broker. One Protocol, and one declaration of what it can do."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from onefill.core.instrument import Instrument, Series
from onefill.core.intent import OrderIntent, OrderRequest, OrderType
from onefill.core.orders.rates import RateWindow
from onefill.core.orders.report import LookUp, OrderReport, Outcome
from onefill.core.orders.stream_words import StreamWord
from onefill.core.quote import Listing, Quote


class OrderClass(enum.StrEnum):
    """How a broker treats a repeated client order id (ORD-7)."""

    A = "A"  # unique for ever: a resend with the same id is safe
    B = "B"  # unique while open, and requests expire
    C = "C"  # no idempotency: never resent by software


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """A broker's declaration, checked against the venue by the conformance suite (ORD-6).

    visibility_lag_ms: how long after its expiry a request may still become visible.
    request_expiry_ms: how long a signed request stays valid; None: it never expires.
    retention_s: for how long client ids are remembered (class A).
    finds_by_client_id: whether a look-up by client order id exists.
    states_fills: whether an order's own state says how much of it is filled; else no price is
    chased here (PF-22). modifications_max: how often an order may be changed; None: any number.
    definite_refusals: codes that prove that an order was not placed.
    order_rates: how many orders an account may send in a time; none is not known, or no limit.
    conditional: order types that wait at the broker for their trigger price.
    streams: whether the broker pushes what happens to orders; all brokers are polled besides.
    changes_conditional: whether such an order can be changed; else it is cancelled and replaced.
    native_close_position: whether an order that waits can close whatever is held then, without a
    quantity; one for each side.
    hedged: whether long and short are positions of their own there: an order that turns a position
    goes in two, one that closes and one that opens.
    """

    order_class: OrderClass
    visibility_lag_ms: int
    request_expiry_ms: int | None
    retention_s: int | None
    finds_by_client_id: bool
    reports_fills_on_placing: bool
    states_fills: bool
    native_reduce_only: bool
    modifications_max: int | None
    definite_refusals: frozenset[str]
    order_rates: tuple[RateWindow, ...] = ()
    conditional: frozenset[OrderType] = frozenset()
    changes_conditional: bool = False
    streams: bool = False
    hedged: bool = False
    native_close_position: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request built and signed, not sent. Its bytes and credentials stay in memory.

    signed_at, expires_at are venue time; send_within_ms bounds the wait for the socket, counted
    on the boot-time clock from `anchored_ms`; request_hash is SHA-256 over what will be sent.
    refusal: why the broker would refuse it for certain; then `send` writes nothing.
    order_rates: of the account, for the claim to keep.
    Headers and body hold credentials, so a repr leaves them out.
    """

    intent: OrderIntent
    attempt: int
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    signed_at: datetime
    expires_at: datetime | None
    anchored_ms: float
    send_within_ms: int
    request_hash: bytes
    witnessed: tuple[str, ...] = ()
    refusal: str | None = None
    order_rates: tuple[RateWindow, ...] = ()


class Broker(Protocol):
    """One account at one broker."""

    name: str
    account: str
    is_paper: bool

    @property
    def capabilities(self) -> Capabilities:
        """What this broker can do; for the paper venue as the venue itself says."""
        ...

    async def start(self) -> None:
        """Learn the venue's clock and capabilities. Raises BrokerUnavailable."""
        ...

    async def refuses_us(self) -> str | None:
        """Why the broker takes no orders from this instance now: its address, the session of the
        day, permissions. None: it takes them. Raises BrokerUnavailable (ORD-16)."""
        ...

    def largest(self, order: OrderRequest) -> Decimal | None:
        """The largest quantity of such an order, as far as the broker says; None: no limit."""
        ...

    async def prepare(self, intent: OrderIntent) -> Prepared:
        """Build and sign the intent's next attempt (`intent.attempt` + 1).

        Where look-ups need it, asks first which like orders the book shows already.
        Raises BrokerUnavailable when that, or the venue's clock, can't be had: nothing was sent.
        """
        ...

    async def send(self, prepared: Prepared) -> Outcome:
        """Write those bytes to the socket once, unless their deadline has passed by then."""
        ...

    async def look_up(self, intent: OrderIntent, rivals: Sequence[OrderIntent]) -> LookUp:
        """What the broker says of the intent's current attempt; never guesses.

        rivals: other intents of the same account, symbol, side and quantity that have been sent
        and have no broker order id yet; a match might be one of them as well.
        """
        ...

    async def watch(self, hear: Callable[[StreamWord], None]) -> None:
        """Say what the broker's stream says, until cancelled; it is made again when it breaks.

        A broker without one (`capabilities.streams`) returns at once. Source: ORD-10.
        """
        ...

    async def positions(self) -> Mapping[str, Decimal]:
        """Net quantity by symbol, signed; only what is not flat."""
        ...

    async def open_orders(self) -> Sequence[OrderReport]:
        """Orders still working at the broker."""
        ...

    async def history(self, symbols: AbstractSet[str]) -> Sequence[OrderReport]:
        """What the broker still lists of these symbols (today's at least), working or over."""
        ...

    async def quotes(self, listings: Collection[Listing]) -> Mapping[str, Quote]:
        """The market by symbol; what has no quote is left out. Raises BrokerUnavailable."""
        ...

    async def series(self, instrument: Instrument) -> Sequence[Series]:
        """The contracts that it lists of an instrument; empty where it has no list of them.

        Raises BrokerUnavailable (PF-23).
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
